"""Transforms of rewards."""

from typing import Any

import dm_env
import numpy as np
from jaxtyping import Float

from podmeta.environments.contract import LAST
from podmeta.environments.specs import EnvironmentSpecs
from podmeta.environments.transforms.base import Draw, Transform
from podmeta.errors import InputError


class FailureReward(Transform):
    """Pays -1 when the episode terminates, 0 otherwise, instead of its reward. Truncation is no failure.

    Raises:
      InputError: episodes of the environment never end.
    """

    def __init__(self, inside: EnvironmentSpecs):
        super().__init__(inside)
        if not inside.episodes_end:
            raise InputError(
                "environment.failure_reward pays for episodes that terminate, but episodes of this environment never "
                "end: set environment.failure_reward=false"
            )

    def outer_timestep(self, drawn: Draw, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Replaces the reward."""
        del drawn
        failed = (timestep.step_type == LAST) & (timestep.discount == 0)
        return timestep._replace(reward=-failed.astype(np.float32))

    def expected_rewards(self, drawn: Draw, inside: Float[Any, "*batch num_actions"]) -> None:
        """Not known, whatever the environment inside knows of its own rewards."""
        del drawn, inside

    def expected_advantages(self, drawn: Draw, inside: Float[Any, "*batch num_actions"]) -> None:
        """Not known: the teacher inside is after other rewards."""
        del drawn, inside
