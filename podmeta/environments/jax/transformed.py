"""JAX environments in task transforms."""

import math
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from podmeta.config.schema import EnvironmentConfig
from podmeta.environments.base import Action, AnyEnvironment, Environment, EnvironmentState
from podmeta.environments.specs import EnvironmentSpecs
from podmeta.environments.transforms.base import Draw, Memory, RandomSource, Transform
from podmeta.environments.transforms.order import transforms_of


def transformed(environment: AnyEnvironment, config: EnvironmentConfig) -> AnyEnvironment:
    """An environment in the transforms that a config asks for.

    Raises:
      InputError: a transform does not fit the environment.
    """
    for make in transforms_of(config):
        environment = Transformed(environment, make(specs_of(environment)))
    return environment


def specs_of(environment: AnyEnvironment) -> EnvironmentSpecs:
    """The specs of an environment."""
    return EnvironmentSpecs(environment.observation_spec(), environment.action_spec(), environment.episodes_end)


class TransformedTask(NamedTuple):
    """The task of a transformed environment.

    Attributes:
      inner: the task of the environment inside.
      drawn: what the transform drew; () where it draws nothing.
    """

    inner: PyTree
    drawn: Draw


class TransformedState(NamedTuple):
    """The environment state in a transform with memory.

    Attributes:
      inner: the state of the environment inside.
      memory: what the transform keeps in the episode.
    """

    inner: PyTree
    memory: Memory


class Transformed(Environment[TransformedTask, EnvironmentState]):
    """An environment in one transform, whose draw is part of the task.

    Args:
      environment: the environment inside.
      transform: the transform, made for its specs.
    """

    def __init__(self, environment: Environment[PyTree, EnvironmentState], transform: Transform):
        self._environment = environment
        self._transform = transform

    @property
    def episodes_end(self) -> bool:
        """As inside."""
        return self._environment.episodes_end

    @property
    def num_tasks(self) -> float | None:
        """Those inside, times what the transform may draw."""
        inside, num_draws = self._environment.num_tasks, self._transform.num_draws
        if inside is None:
            return None
        return math.inf if math.inf in (inside, num_draws) else inside * num_draws

    def observation_spec(self) -> specs.Array:
        """What the transform makes of that inside."""
        return self._transform.outside.observation

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """What the transform makes of that inside."""
        return self._transform.outside.action

    def sample_task(self, key: PRNGKeyArray) -> TransformedTask:
        """Draws the task inside, and what the transform adds to it."""
        inner_key, own_key = jax.random.split(key)
        return TransformedTask(self._environment.sample_task(inner_key), self._transform.draw(KeyRandom(own_key)))

    def reset(self, key: PRNGKeyArray, task: TransformedTask) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Starts an episode inside."""
        state, timestep = self._environment.reset(key, task.inner)
        return self._shown(task, state, self._transform.first_memory(()), timestep)

    def step(
        self, key: PRNGKeyArray, task: TransformedTask, state: EnvironmentState, action: Action
    ) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Advances the episode inside."""
        inner_action = self._transform.inner_action(task.drawn, action)
        inner_state, memory = self._apart(state)
        inner_state, timestep = self._environment.step(key, task.inner, inner_state, inner_action)
        return self._shown(task, inner_state, memory, timestep)

    def expected_rewards(self, task: TransformedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """What the transform makes of those inside."""
        inside = self._environment.expected_rewards(task.inner, self._apart(state)[0])
        return None if inside is None else self._transform.expected_rewards(task.drawn, inside)

    def expected_advantages(self, task: TransformedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """What the transform makes of those inside."""
        inside = self._environment.expected_advantages(task.inner, self._apart(state)[0])
        return None if inside is None else self._transform.expected_advantages(task.drawn, inside)

    def _apart(self, state: Any) -> tuple[Any, Memory]:
        """The state inside, and the transform's memory."""
        return (state.inner, state.memory) if self._transform.has_memory else (state, ())

    def _shown(
        self, task: TransformedTask, inner_state: Any, memory: Memory, timestep: dm_env.TimeStep
    ) -> tuple[Any, dm_env.TimeStep]:
        """The state and the time step, from those inside. Without memory, the state is that inside."""
        memory, timestep = self._transform.remember(task.drawn, memory, timestep)
        return TransformedState(inner_state, memory) if self._transform.has_memory else inner_state, timestep


class KeyRandom(RandomSource):
    """The random numbers of a transform, from a key of its own.

    Args:
      key: the key, of one draw.
    """

    def __init__(self, key: PRNGKeyArray):
        self._key = key

    def permutation(self, size: int) -> Int[Array, "size"]:
        """A permutation, uniform over all."""
        return jax.random.permutation(self._key, size)

    def signs(self, size: int) -> Float[Array, "size"]:
        """-1.0 or 1.0, equally likely."""
        return jax.random.rademacher(self._key, (size,), jnp.float32)

    def uniform(self, size: int) -> Float[Array, "size"]:
        """Numbers from [0, 1)."""
        return jax.random.uniform(self._key, (size,))

    def normal(self, rows: int, columns: int) -> Float[Array, "rows columns"]:
        """A matrix of standard normal numbers."""
        return jax.random.normal(self._key, (rows, columns))
