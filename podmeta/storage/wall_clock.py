"""Where the time of a job went, over all its starts: `wall_clock.jsonl`, and the goodput that follows from it.

A start of a job appends a row for every stretch of its time, so a kill loses the account of one stretch at most. That
time then counts as time between two starts.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from podmeta.storage.files import write_atomically
from podmeta.storage.json_files import Warn, decode_lines, read_lines
from podmeta.storage.run_files import WALL_CLOCK, Goodput
from podmeta.value_types import Json

ACTIVITIES = ("updates", "compile", "save", "evaluation", "startup", "other")
"""What a start of a job spends its time on."""

FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
"""How a start ends: with all updates trained, by a signal, or by an error."""


@dataclasses.dataclass(frozen=True)
class WallClockRow:
    """A stretch of the time of one start of a job.

    Attributes:
      start: which start of the job, from 0.
      time: when the stretch ended, in Unix time.
      update: updates done when it ended. The first row of a start tells where the start went on from.
      updates, compile, save, evaluation, startup, other: seconds of the stretch, by what they were spent on.
      ended: how the start ended, in its last row; "" in others, and where it was killed.
    """

    start: int
    time: float
    update: int
    updates: float
    compile: float
    save: float
    evaluation: float
    startup: float
    other: float
    ended: str = ""
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)

    @property
    def began(self) -> float:
        """When the stretch began, in Unix time."""
        return self.time - sum(getattr(self, activity) for activity in ACTIVITIES)


def read_wall_clock(run_path: Path, warn: Warn) -> list[WallClockRow]:
    """The rows of a run's `wall_clock.jsonl`; none where there is no such file.

    Raises:
      InputError: it is damaged.
    """
    path, cure = run_path / WALL_CLOCK, "Delete that line"
    return decode_lines(path, read_lines(path, cure, warn), WallClockRow, cure)


def drop_incomplete_row(run_path: Path, warn: Warn) -> None:
    """Deletes the incomplete line that a kill has left at the end of a run's `wall_clock.jsonl`.

    Raises:
      InputError: another line is damaged.
      PodmetaError: the file could not be written.
    """
    path = run_path / WALL_CLOCK
    kept = "".join(line.text for line in read_lines(path, "Delete that line", warn))
    if path.exists() and path.stat().st_size != len(kept.encode()):
        write_atomically(path, kept)


def account(rows: Sequence[WallClockRow]) -> Goodput | None:
    """Sums up where the time of a job went. None if nothing was recorded.

    Updates that a later start did again are `repeated_seconds`. The time between the last row of a start and the next
    start is `restart_seconds`, unless the job had finished and was extended later.
    """
    if not rows:
        return None
    spent = {activity: sum(getattr(row, activity) for row in rows) for activity in ACTIVITIES}
    restart = sum(
        max(0.0, after.began - before.time)
        for before, after in itertools.pairwise(rows)
        if before.start != after.start and before.ended != FINISHED
    )
    repeated = _repeated_seconds(rows)
    total = sum(spent.values()) + restart
    counted = spent["updates"] - repeated
    return Goodput(
        share=counted / total if total > 0 else 0.0,
        wall_clock_seconds=total,
        num_starts=len({row.start for row in rows}),
        update_seconds=counted,
        repeated_seconds=repeated,
        compile_seconds=spent["compile"],
        save_seconds=spent["save"],
        evaluation_seconds=spent["evaluation"],
        startup_seconds=spent["startup"],
        restart_seconds=restart,
        other_seconds=spent["other"],
    )


def _repeated_seconds(rows: Sequence[WallClockRow]) -> float:
    """Seconds of updates beyond the update that a later start went on from."""
    repeated = 0.0
    kept_up_to: float = float("inf")  # the earliest update that a later start went on from
    for before, row in zip(reversed([None, *rows[:-1]]), reversed(rows), strict=True):
        if before is None or before.start != row.start:
            kept_up_to = min(kept_up_to, row.update)
        elif row.update > kept_up_to:
            done = row.update - before.update
            lost = row.update - max(kept_up_to, before.update)
            repeated += row.updates * (lost / done if done > 0 else 1.0)
    return repeated
