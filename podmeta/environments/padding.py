"""Padding: several environments get one size of observation and action, for learners whose θ is tied to sizes."""

from typing import Any

import dm_env
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, Int

from podmeta.environments.base import Action, Environment, EnvironmentState
from podmeta.environments.wrapper_specs import (
    check_padding,
    count_actions,
    num_components,
    padded_action_spec,
    padded_observation_spec,
)
from podmeta.environments.wrappers import TaskWrapper, WrappedTask


class Padded(TaskWrapper[EnvironmentState]):
    """Adds observation components that are always zero, and actions that do what other actions do.

    Observations are flattened first. Of n discrete actions, action i does what action i modulo n does inside: no
    action is wasted, and a learner that has found a good one among the first n need not know of the others. Further
    components of a box do nothing.

    Args:
      environment: the environment inside.
      observation_size: components of an observation; 0 leaves it as it is.
      num_actions: actions, or components of a box; 0 leaves them as they are.

    Raises:
      InputError: the environment has more components or actions than that.
    """

    def __init__(self, environment: Environment[Any, EnvironmentState], observation_size: int, num_actions: int):
        super().__init__(environment)
        self._inner_size = num_components(environment.observation_spec())
        self._is_discrete = isinstance(environment.action_spec(), specs.DiscreteArray)
        self._num_inner_actions = count_actions(environment.action_spec())
        self._observation_size, self._num_actions = observation_size, num_actions
        check_padding(environment.observation_spec(), environment.action_spec(), observation_size, num_actions)

    def observation_spec(self) -> specs.Array:
        """That inside, flat, and then zeros."""
        return padded_observation_spec(super().observation_spec(), self._observation_size)

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """That inside, with more actions. Further components of a box go from -1 to 1."""
        return padded_action_spec(super().action_spec(), self._num_actions)

    def inner_action(self, drawn: tuple[()], action: Action) -> Int[Array, ""] | Float[Array, "num_inner_actions"]:
        """The discrete action modulo the number inside; the first components of a box."""
        del drawn
        return action % self._num_inner_actions if self._is_discrete else action[: self._num_inner_actions]

    def outer_timestep(self, drawn: tuple[()], timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Flattens and pads the observation."""
        del drawn
        if not self._observation_size:
            return timestep
        surplus = self._observation_size - self._inner_size
        return timestep._replace(observation=jnp.pad(timestep.observation.ravel(), (0, surplus)))

    def expected_rewards(self, task: WrappedTask, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """Those inside, once more for every action that does the same."""
        inner = super().expected_rewards(task, state)
        if inner is None or not self._num_actions:
            return inner
        return inner[np.arange(self._num_actions) % self._num_inner_actions]
