"""Progress displays: a live bar on a terminal, plain lines elsewhere."""

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

_SECONDS_BETWEEN_LINES = 10.0
_FRACTION_BETWEEN_LINES = 0.05


def show_progress(num_updates: int, stream: TextIO, enabled: bool = True) -> "ProgressDisplay":
    """The progress display that suits the stream.

    Args:
      num_updates: updates of the whole job, those before a resume included.
      stream: where to, commonly `sys.stderr`.
      enabled: the config's `logging.progress`; False shows nothing.
    """
    if not enabled:
        return ProgressDisplay(num_updates)
    if stream.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
        return LiveProgressDisplay(num_updates, stream)
    return PlainProgressDisplay(num_updates, stream)


class ProgressDisplay:
    """A display that shows nothing, and the base of all displays: a context manager that gets every update."""

    def __init__(self, num_updates: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.num_updates = num_updates
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def update(self, update: int, fitness: float, env_steps_per_second: float) -> None:
        """Shows that `update` updates of the job are done, their latest mean fitness and the throughput."""
        if self._first is None:
            self._first = (update, self._clock())
        self._show(update, self._describe(update, fitness, env_steps_per_second))

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _show(self, update: int, description: str) -> None:
        pass

    def _describe(self, update: int, fitness: float, env_steps_per_second: float) -> str:
        time_left = self._time_left(update)
        return f"fitness {fitness:.4g}  {with_magnitude(env_steps_per_second)} env steps/s" + (
            "" if time_left is None else f"  {as_duration(time_left)} left"
        )

    def _time_left(self, update: int) -> float | None:
        """Seconds to the end at the pace since the first report, which leaves compilation out; None: unknown."""
        first_update, first_time = self._first or (update, 0.0)
        if update <= first_update:
            return None
        seconds_per_update = (self._clock() - first_time) / (update - first_update)
        return seconds_per_update * max(self.num_updates - update, 0)


class LiveProgressDisplay(ProgressDisplay):
    """A bar that moves, for a terminal."""

    def __init__(self, num_updates: int, stream: TextIO) -> None:
        super().__init__(num_updates)
        self._bar = Progress(
            TextColumn("update {task.completed}/{task.total}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(file=stream, force_terminal=True),
        )
        self._task = self._bar.add_task("compiling", total=num_updates)

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _show(self, update: int, description: str) -> None:
        self._bar.update(self._task, completed=update, description=description)


class PlainProgressDisplay(ProgressDisplay):
    """Lines without control characters, for log files and pipes.

    A line is written when 10 s or 5 % of the updates have passed since the last one, and always for the last
    update: never more than 20 lines and one per 10 s.
    """

    def __init__(self, num_updates: int, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(num_updates, clock)
        self._stream = stream
        self._last_line: tuple[int, float] | None = None
        self._pending: tuple[int, str] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write_pending()

    def _show(self, update: int, description: str) -> None:
        self._pending = (update, description)
        if self._last_line is not None:
            last_update, last_time = self._last_line
            early = update - last_update < _FRACTION_BETWEEN_LINES * self.num_updates
            if early and self._clock() - last_time < _SECONDS_BETWEEN_LINES:
                return
        self._write_pending()

    def _write_pending(self) -> None:
        if self._pending is None:
            return
        update, description = self._pending
        print(f"update {update}/{self.num_updates}  {description}", file=self._stream, flush=True)
        self._last_line = (update, self._clock())
        self._pending = None


def with_magnitude(value: float) -> str:
    """A number to three digits, such as 1.23M."""
    for suffix in ("", "k", "M", "G"):
        if abs(value) < 1000:
            return f"{value:.3g}{suffix}"
        value /= 1000
    return f"{value:.3g}T"


def as_duration(seconds: float) -> str:
    """Hours, minutes and seconds, such as 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
