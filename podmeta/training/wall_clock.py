"""Keeps account of where the time of a start goes, in `wall_clock.jsonl`."""

import json
import time
from collections.abc import Callable

from podmeta.storage.files import open_to_append
from podmeta.storage.json_files import Warn, encode
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import WALL_CLOCK, Goodput
from podmeta.storage.wall_clock import ACTIVITIES, WallClockRow, account, drop_incomplete_row, read_wall_clock

# A stretch is at most 1% of a start's life: that much is unaccounted for after a kill. Longer than a minute, none is.
_SHORTEST_STRETCH_S, _LONGEST_STRETCH_S, _SHARE_OF_LIFE = 1.0, 60.0, 0.01


class WallClock:
    """The account of one start of a job. Time that is not spent on anything named is `other`.

    A row that cannot be written, because the disk is full or the run directory is gone, is not lost: the next one
    covers its time too. Nothing is raised, because training can go on without an account.

    Attributes:
      update: updates done, as far as it has been told.
    """

    def __init__(
        self,
        run_directory: RunDirectory,
        update: int,
        began: float,
        warn: Warn,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Reads the account of earlier starts. Nothing is written before `begin`: a start may have nothing to train.

        Args:
          run_directory: the run directory, held by this process.
          update: the update that the job goes on from.
          began: when the command began, in Unix time.
          warn: shows the user a warning.
          now: the time.

        Raises:
          InputError: `wall_clock.jsonl` is damaged.
        """
        drop_incomplete_row(run_directory.path, warn)
        self._run_directory = run_directory
        self._rows = read_wall_clock(run_directory.path, warn)
        self._start = max((row.start for row in self._rows), default=-1) + 1
        self._has_begun = False
        self.update = update
        self._now = now
        self._began = self._accounted_until = began
        self._spent = dict.fromkeys(ACTIVITIES, 0.0)

    def begin(self) -> None:
        """Writes a row: everything until now was start-up. To be called twice, when it begins and when it ends."""
        self._has_begun = True
        self._spent["startup"] = self._now() - self._accounted_until
        self.write(self.update)

    def spend(self, activity: str, seconds: float) -> None:
        """Notes that seconds which have just passed went into one of `ACTIVITIES`."""
        self._spent[activity] += seconds

    def note(self, update: int) -> None:
        """Writes a row if the last one is long enough ago."""
        self.update = update
        life, stretch = self._now() - self._began, self._now() - self._accounted_until
        if stretch >= max(_SHORTEST_STRETCH_S, min(_LONGEST_STRETCH_S, _SHARE_OF_LIFE * life)):
            self.write(update)

    def write(self, update: int, ended: str = "") -> None:
        """Writes a row now: at the end of the start, and after a save, because a later start may go on from there.

        Args:
          update: updates done.
          ended: how the start ends, if it does.
        """
        self.update = update
        if not self._has_begun or self._run_directory.current_path() != self._run_directory.path:
            return
        now = self._now()
        row = WallClockRow(self._start, now, update, *self._seconds_until(now), ended)
        line = json.dumps(encode(row)) + "\n"
        try:
            with open_to_append(self._run_directory.path / WALL_CLOCK) as file:
                file.write(line.encode())
        except OSError:
            return
        self._rows.append(row)
        self._accounted_until = now
        self._spent = dict.fromkeys(ACTIVITIES, 0.0)

    def goodput(self) -> Goodput | None:
        """The account of all starts, up to the last row."""
        return account(self._rows)

    def _seconds_until(self, now: float) -> tuple[float, float, float, float, float, float]:
        """Seconds by activity, in the order of `ACTIVITIES`, which add up to the time since the last row."""
        total = max(0.0, now - self._accounted_until)
        named = sum(self._spent.values())
        if named > total:  # clocks differ, or the system's was set back
            spent = {activity: seconds * total / named for activity, seconds in self._spent.items()}
        else:
            spent = self._spent | {"other": self._spent["other"] + total - named}
        updates, compile, save, evaluation, startup, other = (spent[activity] for activity in ACTIVITIES)
        return updates, compile, save, evaluation, startup, other
