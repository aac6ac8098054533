"""Padding to one size of observation and action, for learners whose θ fits only one size."""

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Float, Int

from podmeta.environments.specs import ActionSpec, EnvironmentSpecs, count_actions, num_components
from podmeta.environments.transforms.base import Action, Draw, Transform, flat_observation
from podmeta.errors import InputError
from podmeta.value_types import AnyArray


class Padded(Transform):
    """Adds observation components that are always zero, and actions that do what other actions do.

    Observations are flattened first. Of n discrete actions, action i does what action i modulo n does in the inner
    environment. So no action is wasted, and a learner that finds a good one among the first n does not need the others.
    Further components of a box do nothing.

    Args:
      inside: the specs of the environment inside.
      observation_size: components of an observation; 0 leaves it as it is.
      num_actions: actions, or components of a box; 0 leaves them as they are.

    Raises:
      InputError: the environment has more components or actions than that.
    """

    def __init__(self, inside: EnvironmentSpecs, observation_size: int, num_actions: int):
        super().__init__(inside)
        self._observation_size, self._num_actions = observation_size, num_actions
        self._surplus = observation_size - num_components(inside.observation)
        self._is_discrete = isinstance(inside.action, specs.DiscreteArray)
        self._num_inner_actions = count_actions(inside.action)
        real_size = num_components(inside.observation)
        _check_fits("padded_observation_size", observation_size, real_size, "components in an observation")
        _check_fits("padded_num_actions", num_actions, self._num_inner_actions, "actions")

    @property
    def outside(self) -> EnvironmentSpecs:
        """The flat inner observation followed by zeros; more actions. Further components of a box go from -1 to 1."""
        observation, action = self.inside.observation, self.inside.action
        return self.inside._replace(
            observation=_padded_observation(observation, self._observation_size)
            if self._observation_size
            else observation,
            action=_padded_action(action, self._num_actions) if self._num_actions else action,
        )

    def inner_action(
        self, drawn: Draw, action: Action
    ) -> Int[AnyArray, "*batch"] | Float[AnyArray, "*batch num_inner_actions"]:
        """The discrete action modulo the number inside; the first components of a box."""
        del drawn
        return action % self._num_inner_actions if self._is_discrete else action[..., : self._num_inner_actions]

    def outer_timestep(self, drawn: Draw, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Flattens and pads the observation."""
        del drawn
        if not self._observation_size:
            return timestep
        namespace = timestep.observation.__array_namespace__()
        zeros = namespace.zeros((*timestep.step_type.shape, self._surplus), timestep.observation.dtype)
        return timestep._replace(observation=namespace.concat([flat_observation(timestep), zeros], axis=-1))

    def by_outer_action(
        self, drawn: Draw, inside: Float[AnyArray, "*batch num_inner_actions"]
    ) -> Float[AnyArray, "*batch num_actions"]:
        """Those inside, once more for every action that does the same."""
        del drawn
        return inside[..., np.arange(self._num_actions) % self._num_inner_actions] if self._num_actions else inside


def _check_fits(key: str, padded: int, real: int, what: str) -> None:
    if padded and padded < real:
        raise InputError(
            f"environment.{key} is {padded}, but this environment has {real} {what}: make it {real} or more"
        )


def _padded_observation(spec: specs.Array, size: int) -> specs.Array:
    if not isinstance(spec, specs.BoundedArray):
        return specs.Array((size,), spec.dtype, spec.name)
    surplus = size - num_components(spec)
    minimum, maximum = (
        np.pad(np.broadcast_to(bound, spec.shape).ravel(), (0, surplus)) for bound in (spec.minimum, spec.maximum)
    )
    return specs.BoundedArray((size,), spec.dtype, minimum, maximum, spec.name)


def _padded_action(spec: ActionSpec, number: int) -> ActionSpec:
    if isinstance(spec, specs.DiscreteArray):
        return specs.DiscreteArray(number, spec.dtype, spec.name)
    further = np.ones(number - num_components(spec), spec.dtype)
    minimum, maximum = (np.broadcast_to(bound, spec.shape) for bound in (spec.minimum, spec.maximum))
    return specs.BoundedArray(
        (number,),
        spec.dtype,
        np.concatenate([minimum, -further]),
        np.concatenate([maximum, further]),
        spec.name,
    )
