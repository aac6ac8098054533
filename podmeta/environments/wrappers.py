"""Task wrappers: environments around an environment, which turn one environment into a distribution of tasks.

What a wrapper draws (a permutation, signs) is part of the task, so it holds for a whole lifetime. The
wrappers over observations work on the flattened components of an observation of any shape.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray

from podmeta.environments.base import Action, Environment, EnvironmentState, is_last
from podmeta.environments.wrapper_specs import (
    check_failures_exist,
    check_permutable_actions,
    count_actions,
    duplicated_observation_spec,
    flipped_observation_spec,
    num_components,
    observation_factors,
    permuted_observation_spec,
    scaled_observation_spec,
)

_MOST_BITS = 64  # of what is counted: beyond it, tasks are too many to count


class WrappedTask(NamedTuple):
    """The task of a wrapped environment.

    Attributes:
      inner: the task of the environment inside.
      drawn: what the wrapper drew; () where it draws nothing.
    """

    inner: Any
    drawn: Any


class TaskWrapper(Environment[WrappedTask, EnvironmentState]):
    """Passes everything on to the environment inside; each wrapper overrides what it changes.

    Args:
      environment: the environment inside.
    """

    def __init__(self, environment: Environment[Any, EnvironmentState]):
        self._environment = environment

    @property
    def episodes_end(self) -> bool:
        """As inside."""
        return self._environment.episodes_end

    @property
    def num_tasks(self) -> float | None:
        """Those inside, times what this wrapper may draw."""
        inside = self._environment.num_tasks
        if inside is None:
            return None
        return math.inf if math.inf in (inside, self.num_draws) else inside * self.num_draws

    @property
    def num_draws(self) -> float:
        """How many different draws this wrapper may make; `math.inf` if too many to count."""
        return 1

    def draw(self, key: PRNGKeyArray) -> Any:
        """Draws this wrapper's own part of a task."""
        del key
        return ()

    def inner_action(self, drawn: Any, action: Action) -> Action:
        """The action that the environment inside takes for `action`."""
        del drawn
        return action

    def outer_timestep(self, drawn: Any, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """The time step shown for a `timestep` of the environment inside."""
        del drawn
        return timestep

    def observation_spec(self) -> specs.Array:
        """As inside."""
        return self._environment.observation_spec()

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """As inside."""
        return self._environment.action_spec()

    def sample_task(self, key: PRNGKeyArray) -> WrappedTask:
        """Draws the task inside, and what this wrapper adds to it."""
        inner_key, own_key = jax.random.split(key)
        return WrappedTask(self._environment.sample_task(inner_key), self.draw(own_key))

    def reset(self, key: PRNGKeyArray, task: WrappedTask) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Starts an episode inside."""
        state, timestep = self._environment.reset(key, task.inner)
        return state, self.outer_timestep(task.drawn, timestep)

    def step(
        self, key: PRNGKeyArray, task: WrappedTask, state: EnvironmentState, action: Action
    ) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Advances the episode inside."""
        inner_action = self.inner_action(task.drawn, action)
        state, timestep = self._environment.step(key, task.inner, state, inner_action)
        return state, self.outer_timestep(task.drawn, timestep)

    def expected_rewards(self, task: WrappedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """As inside."""
        return self._environment.expected_rewards(task.inner, state)


class PermutedObservations(TaskWrapper[EnvironmentState]):
    """Shuffles the observation components: component i shows what is component `drawn[i]` inside."""

    def observation_spec(self) -> specs.Array:
        """Any component may appear anywhere, so all have the widest bounds of any."""
        return permuted_observation_spec(super().observation_spec())

    @property
    def num_draws(self) -> float:
        """The permutations."""
        return _num_permutations(num_components(self.observation_spec()))

    def draw(self, key: PRNGKeyArray) -> Int[Array, "observation_size"]:
        """A permutation, uniform over all."""
        return jax.random.permutation(key, num_components(self.observation_spec()))

    def outer_timestep(self, drawn: Int[Array, "observation_size"], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Permutes the observation."""
        observation = timestep.observation
        return timestep._replace(observation=observation.ravel()[drawn].reshape(observation.shape))


class PermutedActions(TaskWrapper[EnvironmentState]):
    """Shuffles the actions: action i is action `drawn[i]` inside. A box's components are shuffled likewise.

    Raises:
      InputError: the environment takes a box of actions whose bounds differ between components, so that no
        bounds hold for every permutation.
    """

    def __init__(self, environment: Environment[Any, EnvironmentState]):
        super().__init__(environment)
        check_permutable_actions(environment.action_spec())

    @property
    def num_draws(self) -> float:
        """The permutations."""
        return _num_permutations(count_actions(self.action_spec()))

    def draw(self, key: PRNGKeyArray) -> Int[Array, "num_actions"]:
        """A permutation, uniform over all."""
        return jax.random.permutation(key, count_actions(self.action_spec()))

    def inner_action(self, drawn: Int[Array, "num_actions"], action: Action) -> Action:
        """Looks up a discrete action, or moves the components of a continuous one."""
        if isinstance(self.action_spec(), specs.DiscreteArray):
            return drawn[action]
        return jnp.zeros_like(action).at[drawn].set(action, unique_indices=True)

    def expected_rewards(self, task: WrappedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """Those inside, permuted like the actions."""
        inner = super().expected_rewards(task, state)
        return None if inner is None else inner[task.drawn]


class FlippedObservationSigns(TaskWrapper[EnvironmentState]):
    """Flips the sign of each observation component or not: a factor of -1 or 1, equally likely."""

    def observation_spec(self) -> specs.Array:
        """Either sign may appear, so the bounds are symmetric."""
        return flipped_observation_spec(super().observation_spec())

    @property
    def num_draws(self) -> float:
        """Either sign for every component."""
        size = num_components(self.observation_spec())
        return 2**size if size <= _MOST_BITS else math.inf

    def draw(self, key: PRNGKeyArray) -> Float[Array, "observation_size"]:
        """The sign of each component."""
        return jax.random.rademacher(key, (num_components(self.observation_spec()),), jnp.float32)

    def outer_timestep(self, drawn: Float[Array, "observation_size"], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Multiplies the observation by its signs."""
        return timestep._replace(observation=timestep.observation * drawn.reshape(timestep.observation.shape))


class ScaledObservations(TaskWrapper[EnvironmentState]):
    """Multiplies the observation components by constant factors.

    Args:
      environment: the environment inside.
      factors: one factor per (flattened) observation component, or one for all.

    Raises:
      InputError: the number of factors is wrong, or one of them is not finite.
    """

    def __init__(self, environment: Environment[Any, EnvironmentState], factors: Sequence[float]):
        super().__init__(environment)
        self._factors = observation_factors(environment.observation_spec(), factors)

    def observation_spec(self) -> specs.Array:
        """The bounds times the factors; a negative factor swaps them."""
        return scaled_observation_spec(super().observation_spec(), self._factors)

    def outer_timestep(self, drawn: tuple[()], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Multiplies the observation by the factors."""
        del drawn
        return timestep._replace(observation=timestep.observation * self._factors)


class DuplicatedObservations(TaskWrapper[EnvironmentState]):
    """Shows every observation component several times: the flat observation, one copy after the other.

    Args:
      environment: the environment inside.
      copies: how many.
    """

    def __init__(self, environment: Environment[Any, EnvironmentState], copies: int):
        super().__init__(environment)
        self._copies = copies

    def observation_spec(self) -> specs.Array:
        """As many times the components."""
        return duplicated_observation_spec(super().observation_spec(), self._copies)

    def outer_timestep(self, drawn: tuple[()], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Repeats the observation."""
        del drawn
        return timestep._replace(observation=jnp.tile(timestep.observation.ravel(), self._copies))


class FailureReward(TaskWrapper[EnvironmentState]):
    """Pays -1 when the episode terminates, 0 otherwise, instead of its reward. Truncation is no failure.

    Raises:
      InputError: episodes of the environment never end.
    """

    def __init__(self, environment: Environment[Any, EnvironmentState]):
        check_failures_exist(environment.episodes_end)
        super().__init__(environment)

    def outer_timestep(self, drawn: tuple[()], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Replaces the reward."""
        del drawn
        failed = is_last(timestep) & (timestep.discount == 0)
        return timestep._replace(reward=-failed.astype(jnp.float32))

    def expected_rewards(self, task: WrappedTask, state: EnvironmentState) -> None:
        """Not known, whatever the environment inside knows of its own rewards."""
        del task, state


def _num_permutations(size: int) -> float:
    """n!, or `math.inf` if that takes more than `_MOST_BITS`."""
    return math.factorial(size) if size <= 20 else math.inf
