"""Transforms of rewards."""

import math
from collections.abc import Sequence

import dm_env
import numpy as np
from jaxtyping import Float

from podmeta.environments.contract import FIRST, LAST
from podmeta.environments.specs import EnvironmentSpecs
from podmeta.environments.transforms.base import Draw, Memory, RandomSource, Transform
from podmeta.errors import InputError
from podmeta.value_types import AnyArray


class FailureReward(Transform):
    """Pays -1 when the episode terminates, 0 otherwise, instead of its reward. Truncation is not a failure.

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

    def expected_rewards(self, drawn: Draw, inside: Float[AnyArray, "*batch num_actions"]) -> None:
        """Unknown, even if the inner environment knows its own."""
        del drawn, inside

    def expected_advantages(self, drawn: Draw, inside: Float[AnyArray, "*batch num_actions"]) -> None:
        """Unknown: the inner teacher has other rewards."""
        del drawn, inside


class RescaledRewards(Transform):
    """Changes the unit and the offset of rewards: sign * scale * reward + offset. The reward of a reset stays 0.

    Args:
      inside: the specs of the environment inside.
      scale: one positive factor; or two, between which it is drawn, its logarithm uniformly; or none.
      offset: one number that is added; or two, between which it is drawn uniformly; or none.
      flips_sign: whether the sign of rewards is drawn, either equally likely.

    Raises:
      InputError: `scale` or `offset` does not have that form.
    """

    stream = 4

    def __init__(self, inside: EnvironmentSpecs, scale: Sequence[float], offset: Sequence[float], flips_sign: bool):
        super().__init__(inside)
        self._scale = _interval("reward_scale", scale, otherwise=1.0)
        self._offset = _interval("reward_offset", offset, otherwise=0.0)
        self._flips_sign = flips_sign
        if self._scale[0] <= 0:
            raise InputError(
                f"environment.reward_scale is {list(scale)}: factors must be above 0 (flip_reward_sign draws a sign)"
            )

    @property
    def num_draws(self) -> float:
        """Either sign, if it is drawn; too many to count, if a scale or an offset is."""
        if self._scale[0] < self._scale[1] or self._offset[0] < self._offset[1]:
            return math.inf
        return 2 if self._flips_sign else 1

    def draw(self, random: RandomSource) -> Float[AnyArray, "2"]:
        """The factor and the offset."""
        uniform = random.uniform(3)
        namespace = uniform.__array_namespace__()
        sign = namespace.where(uniform[0] < 0.5, -1.0, 1.0) if self._flips_sign else 1.0
        (low, high), (least, most) = self._scale, self._offset
        factor = sign * low * namespace.exp(uniform[1] * math.log(high / low))
        offset = least + uniform[2] * (most - least)
        return namespace.stack([factor, offset]).astype(np.float32)

    def outer_timestep(self, drawn: Float[AnyArray, "*batch 2"], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Rescales the reward."""
        rescaled = drawn[..., 0] * timestep.reward + drawn[..., 1]
        return timestep._replace(reward=rescaled * (timestep.step_type != FIRST))

    def expected_rewards(
        self, drawn: Float[AnyArray, "*batch 2"], inside: Float[AnyArray, "*batch num_actions"]
    ) -> Float[AnyArray, "*batch num_actions"]:
        """Those inside, rescaled."""
        return drawn[..., :1] * inside + drawn[..., 1:]

    def expected_advantages(
        self, drawn: Float[AnyArray, "*batch 2"], inside: Float[AnyArray, "*batch num_actions"]
    ) -> Float[AnyArray, "*batch num_actions"] | None:
        """The inner ones, if the best actions remain so: a sign changes them; an offset may, if episodes end."""
        del drawn
        has_offset = self._offset != (0.0, 0.0) and self.inside.episodes_end
        return None if self._flips_sign or has_offset else inside


class DelayedRewards(Transform):
    """Pays every reward a number of steps late. The last time step of an episode pays all that is still due.

    Args:
      inside: the specs of the environment inside.
      delay: by how many steps.
    """

    has_memory = True

    def __init__(self, inside: EnvironmentSpecs, delay: int):
        super().__init__(inside)
        self._delay = delay

    def first_memory(self, batch: tuple[int, ...]) -> tuple[Float[np.ndarray, "*batch delay"]]:
        """The rewards that are due, the oldest first."""
        return (np.zeros((*batch, self._delay), np.float32),)

    def remember(self, drawn: Draw, memory: Memory, timestep: dm_env.TimeStep) -> tuple[Memory, dm_env.TimeStep]:
        """Pays the oldest reward, or all; keeps the others."""
        namespace = timestep.reward.__array_namespace__()
        (due,) = memory
        due = namespace.where((timestep.step_type == FIRST)[..., None], np.float32(0), due)
        due = namespace.concat([due, timestep.reward[..., None]], axis=-1)
        paid = namespace.where(timestep.step_type == LAST, due.sum(axis=-1), due[..., 0])
        return (due[..., 1:],), timestep._replace(reward=paid)

    def expected_rewards(self, drawn: Draw, inside: Float[AnyArray, "*batch num_actions"]) -> None:
        """Not known: a reward is not that of the action before it."""
        del drawn, inside


class AccumulatedRewards(Transform):
    """Adds rewards up, and pays them every so many steps of an episode and on its last time step.

    Args:
      inside: the specs of the environment inside.
      period: so many steps; 0: only on the last time step.

    Raises:
      InputError: they would never be paid, because episodes never end.
    """

    has_memory = True

    def __init__(self, inside: EnvironmentSpecs, period: int):
        super().__init__(inside)
        self._period = period
        if not period and not inside.episodes_end:
            raise InputError(
                "environment.reward_period=0 pays at the end of an episode, but episodes of this environment never "
                "end: set it to a number of steps"
            )

    def first_memory(self, batch: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The sum of the rewards that are due, and for how many steps they have been added up."""
        return np.zeros(batch, np.float32), np.zeros(batch, np.int32)

    def remember(self, drawn: Draw, memory: Memory, timestep: dm_env.TimeStep) -> tuple[Memory, dm_env.TimeStep]:
        """Adds the reward, and pays the sum when it is due."""
        namespace = timestep.reward.__array_namespace__()
        goes_on = timestep.step_type != FIRST
        total, num_steps = memory[0] * goes_on + timestep.reward, (memory[1] + 1) * goes_on
        pays = timestep.step_type == LAST
        if self._period:
            pays = pays | (num_steps == self._period)
        paid = namespace.where(pays, total, np.float32(0))
        return (total - paid, num_steps * ~pays), timestep._replace(reward=paid)

    def expected_rewards(self, drawn: Draw, inside: Float[AnyArray, "*batch num_actions"]) -> None:
        """Not known: a reward is not that of the action before it."""
        del drawn, inside


def _interval(key: str, values: Sequence[float], otherwise: float) -> tuple[float, float]:
    """The ends of an interval that a key gives as none, one or two numbers."""
    if not values:
        return otherwise, otherwise
    if len(values) > 2 or not np.all(np.isfinite(values)) or values[0] > values[-1]:
        raise InputError(
            f"environment.{key} is {list(values)}: give one finite number, or two of which the first is not the larger"
        )
    return values[0], values[-1]
