"""A stage on Anakin: one compiled program that does many updates per call."""

import time
from collections.abc import Callable
from typing import Any

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.architectures.session import Advance
from podmeta.distributed.devices import divide, join, map_over_devices, replicate, unreplicate


class AnakinSession:
    """A stage on Anakin, a `Session`. Programs are compiled once for every number of updates per call.

    `num_devices` are the devices of this process.
    """

    def __init__(self, program: Anakin, state: TrainingState, num_devices: int) -> None:
        self.compile_seconds = 0.0
        self._program = program
        self._num_devices = num_devices
        self._device_state = to_devices(state, num_devices)
        self._compiled: dict[int, Callable[[Any], Any]] = {}

    @property
    def preparation(self) -> str:
        """It compiles."""
        return f"compiling updates of {self._program.env_steps_per_update:,} env steps"

    def advance(self, num_updates: int, stop_requested: Callable[[], bool]) -> Advance:
        """Does `num_updates` updates in one call."""
        del stop_requested
        if num_updates not in self._compiled:
            start = time.perf_counter()
            mapped = map_over_devices(
                lambda state: self._program.run(state, num_updates), DEVICE_AXIS, self._num_devices
            )
            self._compiled[num_updates] = mapped.lower(self._device_state).compile()
            self.compile_seconds += time.perf_counter() - start
        start = time.perf_counter()
        self._device_state, device_metrics = self._compiled[num_updates](self._device_state)
        metrics = unreplicate(device_metrics)
        return Advance(num_updates, metrics, {}, time.perf_counter() - start)

    def state(self) -> TrainingState:
        """The state on the host. In a job of several processes, all must call this at the same time."""
        return from_devices(self._device_state)

    def close(self) -> None:
        """There is nothing to release."""


def to_devices(state: TrainingState, num_devices: int) -> TrainingState:
    """The state on the devices: the outer loop's on each, the lifetimes divided over them."""
    return TrainingState(
        replicate(state.outer, DEVICE_AXIS, num_devices), divide(state.lifetimes, DEVICE_AXIS, num_devices)
    )


def from_devices(device_state: TrainingState) -> TrainingState:
    """The state on the host, which fits any number of devices."""
    return TrainingState(unreplicate(device_state.outer), join(device_state.lifetimes))
