"""One running stage of a job: the interface of both architectures to the training loop."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from podmeta.architectures.base import TrainingState

MetricsByUpdate = dict[str, np.ndarray]  # by name, [num_updates, num_instances]


class Advance(NamedTuple):
    """The result of `Session.advance`.

    Attributes:
      num_updates: updates done; fewer than requested only if the job was asked to stop.
      metrics: of each of these updates, the same in all processes.
      process_metrics: metrics of this process alone, such as where its time went.
      seconds: the time they took, without compilation.
    """

    num_updates: int
    metrics: MetricsByUpdate
    process_metrics: dict[str, float]
    seconds: float


@runtime_checkable
class Session(Protocol):
    """A running stage."""

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""

    @property
    def preparation(self) -> str:
        """A phrase for the user about what the first call of `advance` does before its first update."""

    def advance(self, num_updates: int, stop_requested: Callable[[], bool]) -> Advance:
        """Does `num_updates` updates, or fewer if a stop is requested and they take long."""

    def state(self) -> TrainingState:
        """The state on the host, which fits any number of devices."""

    def close(self) -> str | None:
        """Releases the resources of the session. Returns a line for the user, if there is something to say."""
