"""Which transforms a config asks for, and in which order they go on."""

import functools
from collections.abc import Callable, Iterator

from podmeta.config.schema import EnvironmentConfig
from podmeta.environments.specs import EnvironmentSpecs
from podmeta.environments.transforms.actions import PermutedActions
from podmeta.environments.transforms.base import Transform
from podmeta.environments.transforms.observations import (
    DuplicatedObservations,
    FlippedObservationSigns,
    PermutedObservations,
    ScaledObservations,
)
from podmeta.environments.transforms.padding import Padded
from podmeta.environments.transforms.rewards import FailureReward


def transforms_of(config: EnvironmentConfig) -> Iterator[Callable[[EnvironmentSpecs], Transform]]:
    """The transforms that a config asks for, from the inside out.

    The reward comes first. The factors follow, which thereby belong to the environment's own observation components in
    their own order; then the signs; the copies, which thereby share them; the permutations of observations and of
    actions; the padding, which is therefore not shuffled in.

    Yields:
      A function from the specs of the environment inside to the transform. It raises an InputError where the transform
      does not fit the environment.
    """
    if config.failure_reward:
        yield FailureReward
    if config.observation_scale:
        yield functools.partial(ScaledObservations, factors=config.observation_scale)
    if config.flip_observation_signs:
        yield FlippedObservationSigns
    if config.observation_copies > 1:
        yield functools.partial(DuplicatedObservations, copies=config.observation_copies)
    if config.permute_observations:
        yield PermutedObservations
    if config.permute_actions:
        yield PermutedActions
    if config.padded_observation_size or config.padded_num_actions:
        yield functools.partial(
            Padded, observation_size=config.padded_observation_size, num_actions=config.padded_num_actions
        )
