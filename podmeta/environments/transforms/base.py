"""The interface of task transforms: pure functions of a draw, an action, and a time step.

A transform is written once, for JAX and NumPy arrays. It uses the functions of the array's namespace
(`x.__array_namespace__()`), and works with any number of leading batch axes: none for a JAX environment, which `vmap`
batches, and one for a batch of host environments. It does not import JAX, which host environments do not need.
"""

import abc
from typing import Any, ClassVar

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Float, Int, Shaped

from podmeta.environments.specs import EnvironmentSpecs
from podmeta.value_types import AnyArray

Memory = Any  # arrays that a transform keeps in an episode, as a tuple; () where it keeps nothing
Draw = Any  # an array of what a transform draws for one lifetime; () where it draws nothing
Action = Int[AnyArray, "*batch"] | Float[AnyArray, "*batch num_actions"]


class RandomSource(abc.ABC):
    """The source of a transform's random numbers: a JAX key, or a NumPy generator. A draw uses it once."""

    @abc.abstractmethod
    def permutation(self, size: int) -> Int[AnyArray, "size"]:
        """A permutation, uniform over all."""

    @abc.abstractmethod
    def signs(self, size: int) -> Float[AnyArray, "size"]:
        """-1.0 or 1.0, equally likely."""

    @abc.abstractmethod
    def uniform(self, size: int) -> Float[AnyArray, "size"]:
        """Numbers from [0, 1)."""

    @abc.abstractmethod
    def normal(self, rows: int, columns: int) -> Float[AnyArray, "rows columns"]:
        """A matrix of standard normal numbers."""


class Transform:
    """Changes the observations, actions or rewards of an environment. Each subclass overrides what it changes.

    Attributes:
      stream: on the host, makes the draws of a transform independent of those of other transforms with the same seed.
        Unused by transforms without draws.
      has_memory: whether the transform has memory during an episode.
      inside: the specs of the environment inside.
    """

    stream: ClassVar[int] = 0
    has_memory: ClassVar[bool] = False

    def __init__(self, inside: EnvironmentSpecs):
        self.inside = inside

    @property
    def outside(self) -> EnvironmentSpecs:
        """The specs of the transformed environment."""
        return self.inside

    @property
    def num_draws(self) -> float:
        """The number of different draws; `math.inf` if too many to count."""
        return 1

    def draw(self, random: RandomSource) -> Draw:
        """Draws the transform's part of a task, which holds for a whole lifetime."""
        del random
        return ()

    def inner_action(self, drawn: Draw, action: Action) -> Action:
        """The action of the inner environment for `action`."""
        del drawn
        return action

    def outer_timestep(self, drawn: Draw, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """The outer time step for a `timestep` of the inner environment, whose arrays must not be modified."""
        del drawn
        return timestep

    def first_memory(self, batch: tuple[int, ...]) -> Memory:
        """The memory before a FIRST time step, with arbitrary content: a FIRST time step clears it."""
        del batch
        return ()

    def remember(self, drawn: Draw, memory: Memory, timestep: dm_env.TimeStep) -> tuple[Memory, dm_env.TimeStep]:
        """`outer_timestep` of a transform with memory: the memory after the time step, and the time step shown."""
        return memory, self.outer_timestep(drawn, timestep)

    def by_outer_action(
        self, drawn: Draw, inside: Float[AnyArray, "*batch num_inner_actions"]
    ) -> Float[AnyArray, "*batch num_actions"]:
        """A number per action, from those of the inner actions."""
        del drawn
        return inside

    def expected_rewards(
        self, drawn: Draw, inside: Float[AnyArray, "*batch num_inner_actions"]
    ) -> Float[AnyArray, "*batch num_actions"] | None:
        """The expected reward of every action, from those of the inner actions; None if unknown."""
        return self.by_outer_action(drawn, inside)

    def expected_advantages(
        self, drawn: Draw, inside: Float[AnyArray, "*batch num_inner_actions"]
    ) -> Float[AnyArray, "*batch num_actions"] | None:
        """The expected advantage of every action, from the inner ones; None if the teacher no longer applies."""
        return self.by_outer_action(drawn, inside)


def flat_observation(timestep: dm_env.TimeStep) -> Shaped[AnyArray, "*batch observation_size"]:
    """The observations of a time step, each in one row."""
    return timestep.observation.reshape(*timestep.step_type.shape, -1)


def real_spec(spec: specs.Array) -> specs.Array:
    """A spec of real numbers in place of one of bytes, which become real numbers when they are multiplied."""
    if spec.dtype != np.uint8 or not isinstance(spec, specs.BoundedArray):
        return spec
    ends = (spec.minimum.astype(np.float32), spec.maximum.astype(np.float32))
    return specs.BoundedArray(spec.shape, np.float32, *ends, spec.name)
