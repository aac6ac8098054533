"""Learners by config."""

import math

from podmeta.config.schema import RecurrentConfig, SymmetricConfig
from podmeta.learners.base import Learner
from podmeta.learners.recurrent import make_recurrent_learner
from podmeta.learners.scaling import with_scaled_observations
from podmeta.learners.symmetric import make_symmetric_learner

LearnerConfig = SymmetricConfig | RecurrentConfig


def make_learner(
    config: LearnerConfig, observation_shape: tuple[int, ...], num_actions: int, num_policy_channels: int
) -> Learner:
    """Builds the learner a config asks for, for one shape of observation and number of actions."""
    observation_size = math.prod(observation_shape)
    if isinstance(config, SymmetricConfig):
        learner = make_symmetric_learner(config, observation_size, num_actions, num_policy_channels)
    else:
        learner = make_recurrent_learner(config, observation_shape, num_actions, num_policy_channels)
    return with_scaled_observations(learner, observation_size) if config.scale_observations else learner
