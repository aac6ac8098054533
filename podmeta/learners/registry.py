"""The registry of learners. The rest of podmeta does not depend on which one a job has."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from podmeta.arithmetic import own_types
from podmeta.config.schema import (
    GROUPS,
    GTrXLConfig,
    LearnerConfig,
    LearnerFactoryConfig,
    OnlineActorCriticConfig,
    OnlineReinforceConfig,
    RecurrentConfig,
    S5Config,
    SymmetricConfig,
)
from podmeta.errors import InputError
from podmeta.factories import Factory
from podmeta.learners.base import Learner
from podmeta.learners.gtrxl import make_gtrxl_learner
from podmeta.learners.normalisation import with_normalised_rewards, with_scaled_observations
from podmeta.learners.online import make_online_actor_critic, make_online_reinforce
from podmeta.learners.recurrent import make_recurrent_learner
from podmeta.learners.s5 import make_s5_learner
from podmeta.learners.symmetric import make_symmetric_learner

MakeLearner = Callable[..., Learner]
"""(config, observation_shape, num_actions, num_policy_channels) -> the learner, as `make_recurrent_learner`."""


def _of_flat_observations(make: Callable[..., Learner]) -> MakeLearner:
    """Makes a learner that flattens observations of any shape."""
    return lambda config, observation_shape, *sizes, **types: make(
        config, math.prod(observation_shape), *sizes, **types
    )


def _of_factory(config: LearnerFactoryConfig, *sizes: Any) -> Learner:
    """The learner that the user's function makes.

    Raises:
      InputError: the function cannot be imported or called, or returns something else.
    """
    factory = Factory("learner", config.factory, config.options)
    learner = factory.call(*sizes)
    if not isinstance(learner, Learner):
        raise factory.wrong(learner, "a podmeta.learners.base.Learner")
    return learner


_MAKERS: dict[type[LearnerConfig], MakeLearner] = {
    SymmetricConfig: _of_flat_observations(make_symmetric_learner),
    RecurrentConfig: make_recurrent_learner,
    S5Config: make_s5_learner,
    GTrXLConfig: make_gtrxl_learner,
    OnlineActorCriticConfig: _of_flat_observations(make_online_actor_critic),
    OnlineReinforceConfig: _of_flat_observations(make_online_reinforce),
    LearnerFactoryConfig: _of_factory,
}


_OF_ANY_DTYPE = (SymmetricConfig, RecurrentConfig, S5Config, GTrXLConfig)
"""Learners whose activations may have another type, which their makers take as `dtype`."""


def register_learner(name: str, config: type[LearnerConfig], make: MakeLearner) -> None:
    """Adds a learner, for `learner=<name>`.

    Args:
      name: its name, which is also the default of the config's `name`.
      config: a dataclass of its keys.
      make: makes it from its config.
    """
    GROUPS["learner"][name] = config
    _MAKERS[config] = make


def make_learner(
    config: LearnerConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    num_policy_channels: int,
    dtype: str = "float32",
) -> Learner:
    """The learner of a config, for one shape of observation and number of actions. It computes in podmeta's arithmetic.

    `dtype` is the type of its activations, as `numerics.dtype` names it.

    Raises:
      InputError: the config does not suit them.
    """
    types = {} if dtype == "float32" else {"dtype": dtype}
    if types and type(config) not in _OF_ANY_DTYPE:
        raise InputError(
            f"numerics.dtype={dtype}: learner.name={config.name} has no activations but float32; take symmetric, "
            "recurrent, s5 or gtrxl, or numerics.dtype=float32"
        )
    learner = _MAKERS[type(config)](config, observation_shape, num_actions, num_policy_channels, **types)
    if config.normalise_rewards:
        learner = with_normalised_rewards(learner)
    if config.scale_observations:
        learner = with_scaled_observations(learner, math.prod(observation_shape))
    if config.scale_rewards and not config.normalise_rewards:
        learner = with_normalised_rewards(learner, centred=False)
    ours = own_types()
    unroll = None if learner.unroll is None else ours(learner.unroll)
    return Learner(ours(learner.init), ours(learner.initial_state), ours(learner.step), unroll)


def as_agent(config: LearnerConfig) -> LearnerConfig:
    """The config of a learner in an agent, where the units of observations and rewards are unknown."""
    return dataclasses.replace(config, scale_observations=True, scale_rewards=True)
