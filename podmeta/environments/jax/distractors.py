"""An environment whose observations also have components that mean nothing."""

import math
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from podmeta.environments.base import Action, AnyEnvironment, Environment, EnvironmentState

_BITS, _RARE_BITS, _SIGNS, _NORMAL = range(4)
_RARE = 0.1  # the probability of a rare bit


class DistractedTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      inner: the task of the environment inside.
      kind: [] what the distractors are: bits, rare bits, signs, or normal numbers.
    """

    inner: PyTree
    kind: Int[Array, ""]


class Distracted(Environment[DistractedTask, EnvironmentState]):
    """An environment with distractors: noise at the end of its flat observations, independent at every env step.

    All distractors of a lifetime are of one kind: 0 or 1, equally likely; 0 or rarely 1; -1 or 1; or standard normal.

    Args:
      environment: the environment inside.
      num_distractors: components to add.
    """

    def __init__(self, environment: Environment[PyTree, EnvironmentState], num_distractors: int):
        self._environment = environment
        self._num_distractors = num_distractors

    @property
    def episodes_end(self) -> bool:
        """As inside."""
        return self._environment.episodes_end

    @property
    def num_tasks(self) -> float | None:
        """As inside: the kind of distractors is no other task."""
        return self._environment.num_tasks

    def observation_spec(self) -> specs.Array:
        """The components inside and the distractors, unbounded."""
        inside = self._environment.observation_spec()
        return specs.Array((math.prod(inside.shape) + self._num_distractors,), "float32", "observation")

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """As inside."""
        return self._environment.action_spec()

    def sample_task(self, key: PRNGKeyArray) -> DistractedTask:
        """Draws the task inside, and the kind of distractors."""
        inner_key, own_key = jax.random.split(key)
        return DistractedTask(self._environment.sample_task(inner_key), jax.random.randint(own_key, (), 0, _NORMAL + 1))

    def reset(self, key: PRNGKeyArray, task: DistractedTask) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Starts an episode inside."""
        inner_key, own_key = jax.random.split(key)
        state, timestep = self._environment.reset(inner_key, task.inner)
        return state, self._distracted(own_key, task, timestep)

    def step(
        self, key: PRNGKeyArray, task: DistractedTask, state: EnvironmentState, action: Action
    ) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Advances the episode inside."""
        inner_key, own_key = jax.random.split(key)
        state, timestep = self._environment.step(inner_key, task.inner, state, action)
        return state, self._distracted(own_key, task, timestep)

    def expected_rewards(self, task: DistractedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """As inside."""
        return self._environment.expected_rewards(task.inner, state)

    def expected_advantages(self, task: DistractedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """As inside."""
        return self._environment.expected_advantages(task.inner, state)

    def _distracted(self, key: PRNGKeyArray, task: DistractedTask, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        normal = jax.random.normal(key, (self._num_distractors,))
        is_rare = normal > jax.scipy.stats.norm.ppf(1 - _RARE)
        distractors = jnp.select(
            [task.kind == _BITS, task.kind == _RARE_BITS, task.kind == _SIGNS],
            [(normal > 0).astype(jnp.float32), is_rare.astype(jnp.float32), jnp.sign(normal)],
            normal,
        )
        return timestep._replace(observation=jnp.concatenate([timestep.observation.reshape(-1), distractors]))


def with_distractors(environment: AnyEnvironment, num_distractors: int) -> AnyEnvironment:
    """The environment with so many distractors; itself where there are none."""
    return Distracted(environment, num_distractors) if num_distractors else environment
