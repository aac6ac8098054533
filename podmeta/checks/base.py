"""What the checks share: their setting, what they measure, and their results."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from podmeta.value_types import Json


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a check is measured with.

    Attributes:
      num_devices: devices of this process.
      matmul_precisions: those of `numerics.matmul_precision` in which updates are compared.
      num_updates: updates that are compared.
      num_bytes: of the array that is stored on each device, and of the one that is copied to measure the memory's rate.
      gemm_size: rows and columns of the matrices that are multiplied to measure the rate of arithmetic.
      lstm_updates: LSTM updates side by side in the measurement of the symmetric learner.
      environments: numbers of environments of the curves, in the order in which they are measured.
      instances: numbers of meta-learners in one program.
      deadline: when the last measurement is to end, by `time.perf_counter`.
    """

    num_devices: int
    matmul_precisions: tuple[str, ...]
    num_updates: int
    num_bytes: int
    gemm_size: int
    lstm_updates: int
    environments: tuple[int, ...]
    instances: tuple[int, ...]
    deadline: float

    @property
    def num_devices_divided(self) -> int:
        """The devices over which jobs are divided: a power of two up to 8, because the smallest has 8 slots."""
        return max(number for number in (1, 2, 4, 8) if number <= self.num_devices)


class Figure(NamedTuple):
    """A number that a check has measured.

    Attributes:
      name: what it is.
      value: the number.
      unit: its unit; 1 for a ratio or a count.
      at_most: what it may be at most for the check to pass; None if it only informs.
      setting: what it was measured with.
    """

    name: str
    value: float
    unit: str = "1"
    at_most: float | None = None
    setting: Mapping[str, Json] = {}

    @property
    def holds(self) -> bool:
        """Whether it is within its tolerance, which NaN never is."""
        return self.at_most is None or self.value <= self.at_most


Measure: TypeAlias = Callable[[Setting], list[Figure]]
"""A check: it measures, and its figures say by their tolerances whether it has passed."""


class Result(NamedTuple):
    """The result of a check.

    Attributes:
      name: the check's.
      figures: what it has measured.
      problem: why it has failed, in one line; None if it has passed.
      seconds: the time it took.
    """

    name: str
    figures: tuple[Figure, ...]
    problem: str | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it has passed."""
        return self.problem is None
