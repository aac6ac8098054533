"""Where the time of a thread goes."""

import time
from types import TracebackType

QUEUE, INFERENCE, ENVIRONMENT = "queue", "inference", "environment"
"""Activities of an actor."""
DATA, UPDATE = "data", "update"
"""Activities of the learner: waiting for data, and updating."""


class Clock:
    """Adds up the seconds that a thread spends on each of a few activities. Other threads may read it.

    Attributes:
      seconds: by activity, without the current one.
      current: the current activity, and when it began.
    """

    def __init__(self, *activities: str) -> None:
        self.seconds = dict.fromkeys(activities, 0.0)
        self.current: tuple[str, float] | None = None
        self._spending = {activity: _Spending(self, activity) for activity in activities}

    def spending(self, activity: str) -> "_Spending":
        """Counts the time of a `with` block. Blocks cannot be nested."""
        return self._spending[activity]

    def divide(self, seconds: float, source: str, target: str) -> None:
        """Counts some of the time of one activity as time of another, for activities within one program."""
        self.seconds[source] -= seconds
        self.seconds[target] += seconds

    def spent(self) -> dict[str, float]:
        """Seconds by activity, including the current one."""
        spent, current = dict(self.seconds), self.current
        if current is not None:
            spent[current[0]] += time.perf_counter() - current[1]
        return spent

    def running_for(self, activity: str) -> float:
        """Seconds since an activity began; 0 if it is not the current one."""
        current = self.current
        return time.perf_counter() - current[1] if current is not None and current[0] == activity else 0.0


class _Spending:
    """A `with` block whose time is counted. It is a class because a generator would be too slow for an actor's step."""

    def __init__(self, clock: Clock, activity: str) -> None:
        self._clock = clock
        self._activity = activity

    def __enter__(self) -> None:
        self._clock.current = (self._activity, time.perf_counter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._clock.current is not None
        _, start = self._clock.current
        self._clock.current = None
        self._clock.seconds[self._activity] += time.perf_counter() - start
