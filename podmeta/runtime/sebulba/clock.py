"""Where the time of a thread goes."""

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Adds up the seconds that a thread spends on each of a few activities. Another thread may look at it.

    Attributes:
      seconds: by activity, of those that have ended.
    """

    def __init__(self, *activities: str) -> None:
        self.seconds = dict.fromkeys(activities, 0.0)
        self._current: tuple[str, float] | None = None

    @contextlib.contextmanager
    def spending(self, activity: str) -> Iterator[None]:
        """Counts the time of the `with` block."""
        start = time.perf_counter()
        self._current = (activity, start)
        try:
            yield
        finally:
            self._current = None
            self.seconds[activity] += time.perf_counter() - start

    def running_for(self, activity: str) -> float:
        """Seconds for which an activity has been going on; 0 if it is not."""
        current = self._current
        return time.perf_counter() - current[1] if current is not None and current[0] == activity else 0.0
