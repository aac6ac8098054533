"""The transforms of a config, and their order."""

import functools
from collections.abc import Callable, Iterator

from podmeta.config.schema import EnvironmentConfig
from podmeta.environments.specs import EnvironmentSpecs
from podmeta.environments.transforms.actions import DiscretisedActions, FlippedActionSigns, PermutedActions
from podmeta.environments.transforms.base import Transform
from podmeta.environments.transforms.observations import (
    DuplicatedObservations,
    FlippedObservationSigns,
    PermutedObservations,
    ProjectedObservations,
    ScaledObservations,
)
from podmeta.environments.transforms.padding import Padded
from podmeta.environments.transforms.rewards import AccumulatedRewards, DelayedRewards, FailureReward, RescaledRewards


def transforms_of(config: EnvironmentConfig) -> Iterator[Callable[[EnvironmentSpecs], Transform]]:
    """The transforms that a config asks for, from the inside out.

    The reward comes first: which reward, when it is paid, and its unit. Then actions become discrete. Factors of
    observations follow, so they belong to the environment's components in their original order. Then come signs,
    projection, and copies, which therefore share signs and projection; the permutation of observations; and signs and
    permutation of actions. Padding comes last, so it is not shuffled.

    Yields:
      A function from the specs of the inner environment to the transform. It raises an InputError if the transform does
      not fit the environment.
    """
    yield from _reward_transforms(config)
    if config.discrete_actions:
        yield functools.partial(DiscretisedActions, number=config.discrete_actions)
    if config.observation_scale:
        yield functools.partial(ScaledObservations, factors=config.observation_scale)
    if config.flip_observation_signs:
        yield FlippedObservationSigns
    if config.project_observations != "none":
        yield functools.partial(ProjectedObservations, kind=config.project_observations)
    if config.observation_copies > 1:
        yield functools.partial(DuplicatedObservations, copies=config.observation_copies)
    if config.permute_observations:
        yield PermutedObservations
    if config.flip_action_signs:
        yield FlippedActionSigns
    if config.permute_actions:
        yield PermutedActions
    if config.padded_observation_size or config.padded_num_actions:
        yield functools.partial(
            Padded, observation_size=config.padded_observation_size, num_actions=config.padded_num_actions
        )


def changes_rewards(config: EnvironmentConfig) -> bool:
    """Whether a config asks for other rewards than the environment's own."""
    return any(True for _ in _reward_transforms(config))


def _reward_transforms(config: EnvironmentConfig) -> Iterator[Callable[[EnvironmentSpecs], Transform]]:
    if config.failure_reward:
        yield FailureReward
    if config.reward_delay:
        yield functools.partial(DelayedRewards, delay=config.reward_delay)
    if config.reward_period != 1:
        yield functools.partial(AccumulatedRewards, period=config.reward_period)
    if config.reward_scale or config.reward_offset or config.flip_reward_sign:
        yield functools.partial(
            RescaledRewards,
            scale=config.reward_scale,
            offset=config.reward_offset,
            flips_sign=config.flip_reward_sign,
        )
