"""Padding: several environments get one size of observation and action, for learners whose θ is tied to sizes."""

from typing import Any

import dm_env
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, Int

from podmeta.environments.base import Action, Environment, EnvironmentState
from podmeta.environments.wrappers import TaskWrapper, WrappedTask
from podmeta.errors import InputError


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
        self._inner_size = int(np.prod(environment.observation_spec().shape))
        inner_actions = environment.action_spec()
        self._is_discrete = isinstance(inner_actions, specs.DiscreteArray)
        self._num_inner_actions = inner_actions.num_values if self._is_discrete else int(np.prod(inner_actions.shape))
        self._observation_size, self._num_actions = observation_size, num_actions
        for key, padded, real, what in (
            ("padded_observation_size", observation_size, self._inner_size, "components in an observation"),
            ("padded_num_actions", num_actions, self._num_inner_actions, "actions"),
        ):
            if padded and padded < real:
                raise InputError(
                    f"environment.{key} is {padded}, but this environment has {real} {what}: make it {real} or more"
                )

    def observation_spec(self) -> specs.Array:
        """That inside, flat, and then zeros."""
        spec = super().observation_spec()
        if not self._observation_size:
            return spec
        shape = (self._observation_size,)
        if not isinstance(spec, specs.BoundedArray):
            return specs.Array(shape, spec.dtype, spec.name)
        minimum, maximum = (
            self._with_zeros(np.broadcast_to(bound, spec.shape)) for bound in (spec.minimum, spec.maximum)
        )
        return specs.BoundedArray(shape, spec.dtype, minimum, maximum, spec.name)

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """That inside, with more actions. Further components of a box go from -1 to 1."""
        spec = super().action_spec()
        if not self._num_actions:
            return spec
        if self._is_discrete:
            return specs.DiscreteArray(self._num_actions, spec.dtype, spec.name)
        further = np.ones(self._num_actions - self._num_inner_actions, spec.dtype)
        minimum, maximum = (np.broadcast_to(bound, spec.shape) for bound in (spec.minimum, spec.maximum))
        return specs.BoundedArray(
            (self._num_actions,),
            spec.dtype,
            np.concatenate([minimum, -further]),
            np.concatenate([maximum, further]),
            spec.name,
        )

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

    def _with_zeros(self, components: np.ndarray) -> np.ndarray:
        return np.pad(components.ravel(), (0, self._observation_size - self._inner_size))
