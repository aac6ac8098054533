"""Checks on a batch of host environments. Errors name the environment, its place in the batch and the env step."""

import dm_env
import numpy as np
from jaxtyping import Bool, UInt32

from podmeta.environments.contract import (
    LAST,
    FaultyEnvironmentError,
    check_numbers,
    check_order,
    check_starts,
)
from podmeta.environments.host.base import Actions, CompiledStep, HostEnvironment, HostWrapper
from podmeta.errors import PodmetaError


class Checked(HostWrapper):
    """Rejects time steps that form no episodes, numbers that are not finite, and rewards that are too large.

    It also says where a failure of the inner batch happened.

    Raises:
      PodmetaError: by `reset` and `step`; names the batch, the environment's place in it, and the env step, counted
        from 1 over the life of the batch (0: a reset before the first).
    """

    def __init__(self, environment: HostEnvironment):
        super().__init__(environment)
        self._num_steps = 0
        self._step_type = np.zeros(environment.num_environments, np.int32)
        self._ended = np.zeros(environment.num_environments, bool)

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """As inside, checked."""
        try:
            timestep = self._environment.reset(starts, seeds)
            check_starts(timestep.step_type, starts)
            self._remember(timestep)
            check_numbers(timestep)
        except FaultyEnvironmentError as fault:
            raise self._named(fault) from fault
        return timestep

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """As inside, checked."""
        self._num_steps += 1
        try:  # a context manager would take as long as a check
            timestep = self._environment.step(actions)
            self._ended = check_order(timestep.step_type, self._step_type, self._ended)
            self._step_type = timestep.step_type
            check_numbers(timestep)
        except FaultyEnvironmentError as fault:
            raise self._named(fault) from fault
        return timestep

    def compiled_step(self) -> CompiledStep | None:
        """The inner one. Only its last time step is checked, so the program must stop at a NaN or infinity."""
        inside = self._environment.compiled_step()
        if inside is None:
            return None

        def has_stepped(num_steps: int, timestep: dm_env.TimeStep) -> None:
            self._num_steps += num_steps
            try:
                check_numbers(timestep)
                self._remember(timestep)
                inside.has_stepped(num_steps, timestep)
            except FaultyEnvironmentError as fault:
                raise self._named(fault) from fault

        return CompiledStep(inside.step, has_stepped)

    def _remember(self, timestep: dm_env.TimeStep) -> None:
        self._step_type, self._ended = timestep.step_type, timestep.step_type == LAST

    def _named(self, fault: FaultyEnvironmentError) -> PodmetaError:
        return PodmetaError(
            f"{self.name}: at env step {self._num_steps}, environment {fault.index} of {self.num_environments} "
            f"{fault.what}"
        )
