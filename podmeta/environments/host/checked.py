"""Watching a batch of host environments: what goes wrong in one is told with its name, its place and the env step."""

import contextlib
from collections.abc import Iterator

import dm_env
import numpy as np
from jaxtyping import Bool, UInt32

from podmeta.environments.host.base import (
    Actions,
    CompiledStep,
    FaultyEnvironmentError,
    HostEnvironment,
    HostWrapper,
)
from podmeta.errors import PodmetaError


class Checked(HostWrapper):
    """Refuses NaN and infinite observations and rewards, and says where any failure inside happened.

    Raises:
      PodmetaError: by `reset` and `step`; names the batch, the environment's place in it, and the env step, counted
        from 1 over the life of the batch (0: a reset before the first).
    """

    def __init__(self, environment: HostEnvironment):
        super().__init__(environment)
        self._num_steps = 0

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """As inside, checked."""
        with self._told():
            return _finite(super().reset(starts, seeds))

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """As inside, checked."""
        self._num_steps += 1
        with self._told():
            return _finite(super().step(actions))

    def compiled_step(self) -> CompiledStep | None:
        """As inside; the program must stop at a NaN or an infinite number, for only its last time step is checked."""
        inside = self._environment.compiled_step()
        if inside is None:
            return None

        def has_stepped(num_steps: int, timestep: dm_env.TimeStep) -> None:
            self._num_steps += num_steps
            with self._told():
                inside.has_stepped(num_steps, _finite(timestep))

        return CompiledStep(inside.step, has_stepped)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FaultyEnvironmentError as fault:
            raise PodmetaError(
                f"{self.name}: at env step {self._num_steps}, environment {fault.index} of {self.num_environments} "
                f"{fault.what}"
            ) from fault


def _finite(timestep: dm_env.TimeStep) -> dm_env.TimeStep:
    for what, values in (("observation", timestep.observation), ("reward", timestep.reward)):
        if values.dtype == np.uint8 or np.isfinite(values).all():
            continue
        flat = values.reshape(len(values), -1)
        index, component = np.argwhere(~np.isfinite(flat))[0]
        where = f", component {component}" if flat.shape[1] > 1 else ""
        raise FaultyEnvironmentError(int(index), f"gave {flat[index, component]} as its {what}{where}")
    return timestep
