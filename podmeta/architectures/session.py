"""One stage of a job under way on the devices: what the training loop asks of either architecture."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from podmeta.architectures.base import TrainingState

MetricsByUpdate = dict[str, np.ndarray]  # by name, [num_updates, num_instances]


class Advance(NamedTuple):
    """What `Session.advance` has done.

    Attributes:
      num_updates: updates done, fewer than asked for only where the job is asked to stop.
      metrics: of every one of these updates, the same in all processes.
      process_metrics: what these updates were like in this process, such as where its time went.
      seconds: the time they took, compilation left out.
    """

    num_updates: int
    metrics: MetricsByUpdate
    process_metrics: dict[str, float]
    seconds: float


@runtime_checkable
class Session(Protocol):
    """A stage under way."""

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""

    @property
    def preparation(self) -> str:
        """What the first call of `advance` does before its first update, in words for the user."""

    def advance(self, num_updates: int, stop_requested: Callable[[], bool]) -> Advance:
        """Does `num_updates` updates, or fewer where a stop is requested and they are long."""

    def state(self) -> TrainingState:
        """The state on the host, which fits any number of devices."""

    def close(self) -> str | None:
        """Lets go of whatever the session holds. Returns what there is to tell the user about it, if anything."""
