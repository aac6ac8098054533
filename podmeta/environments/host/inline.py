"""A batch of Python environments that step one after the other, in the thread that asks."""

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, UInt32

from podmeta.environments.host.arrays import ActionDecoder, ChangedShapeError, ObservationEncoder
from podmeta.environments.host.base import Actions, FaultyEnvironmentError, HostEnvironment
from podmeta.environments.host.single import SingleEnvironment


class InlineEnvironments(HostEnvironment):
    """Steps its environments in a loop.

    Args:
      name: what messages call the batch.
      environments: the environments, of one kind.

    Raises:
      InputError: they show or take what podmeta does not.
    """

    def __init__(self, name: str, environments: Sequence[SingleEnvironment]):
        super().__init__(name, len(environments))
        self._environments = environments
        self._encode = ObservationEncoder(environments[0].observation_spec(), name)
        self._decode = ActionDecoder(environments[0].action_spec(), name)
        spec, batch = self._encode.spec, (len(environments),)
        self._current = dm_env.TimeStep(
            step_type=np.empty(batch, np.int32),
            reward=np.empty(batch, np.float32),
            discount=np.empty(batch, np.float32),
            observation=np.empty((*batch, *spec.shape), spec.dtype),
        )

    def observation_spec(self) -> specs.Array:
        """The environment's own, encoded."""
        return self._encode.spec

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """The environment's own, flat."""
        return self._decode.spec

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Begins lifetimes, one after the other."""
        for index in np.flatnonzero(starts).tolist():
            self._advance(index, self._environments[index].begin_lifetime, int(seeds[index]))
        return self._snapshot()

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Steps one after the other."""
        for index, action in enumerate(self._decode(actions, (self.num_environments,))):
            self._advance(index, self._environments[index].step, action)
        return self._snapshot()

    def close(self) -> None:
        """Closes one after the other."""
        for environment in self._environments:
            environment.close()

    def _advance(self, index: int, call: Callable[[Any], dm_env.TimeStep], argument: Any) -> None:
        current = self._current
        try:
            timestep = call(argument)
            current.observation[index] = self._encode(timestep.observation)
            current.step_type[index] = timestep.step_type
            current.reward[index] = 0.0 if timestep.reward is None else timestep.reward
            current.discount[index] = 1.0 if timestep.discount is None else timestep.discount
        except ChangedShapeError as error:
            raise FaultyEnvironmentError(index, str(error)) from error
        except Exception as error:  # whatever an environment may raise
            raise FaultyEnvironmentError(index, f"failed:\n{''.join(traceback.format_exception(error))}") from error

    def _snapshot(self) -> dm_env.TimeStep:
        return dm_env.TimeStep(*(array.copy() for array in self._current))
