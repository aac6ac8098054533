"""What runs have come to, and whether a start of them has lost more than it may: for `make faults`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.end_to_end.job import checkpoint_steps, last_update, read_rows

LOST = "lost"
"""The problem that work is gone."""

SAVING, PUBLISHING = "saving", "publishing"
"""What may be under way when a run is disturbed."""

UPDATE = re.compile(r"^update ", re.MULTILINE)
"""What a start shows that has trained."""

RESULTS = ("summary.json", "evaluation.jsonl")
"""The files of a run that say what it has come to."""


def results_in(folder: Path) -> dict[str, Any]:
    """What the runs in a folder have come to: the digests of their θ, and the results of their meta-tests."""
    found: dict[str, Any] = {}
    summaries, tests = RESULTS
    for path in folder.rglob(summaries):
        summary = json.loads(path.read_text(encoding="utf-8"))
        found[str(path.relative_to(folder))] = [summary["meta_params_sha256"], summary.get("meta_tests")]
    for path in folder.rglob(tests):
        rows = [[row["setting"], row["algorithm"], row["metric"], row["mean"]] for row in read_rows(path)]
        found[str(path.relative_to(folder))] = sorted(map(json.dumps, rows))
    return found


def newest_checkpoints(folder: Path) -> dict[str, int]:
    """By run below a folder, that of the newest checkpoint."""
    newest = {}
    for path in folder.rglob("checkpoints"):
        newest[path.parent.name] = max(checkpoint_steps(path.parent), default=0)
    return newest


def problems_of_kept(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Whether a checkpoint is gone that nothing newer has replaced, by the newest of each run."""
    return [LOST] if any(now.get(name, 0) < step for name, step in before.items()) else []


def lost_updates(folder: Path, output: str) -> int:
    """The most updates that a run below a folder has done since its newest checkpoint.

    Before it has shown an update, metrics may be of an earlier start: then none.
    """
    if UPDATE.search(output) is None:
        return 0
    runs = [path.parent for path in folder.rglob("metrics.jsonl")]
    return max((last_update(path) - max(checkpoint_steps(path), default=0) for path in runs), default=0)


def problems_of_progress(folder: Path, output: str, most_lost: int) -> list[str]:
    """Whether a run below a folder has done more updates since its newest checkpoint than it may lose."""
    return [LOST] if lost_updates(folder, output) > most_lost else []


def left_under_way(folder: Path, output: str) -> list[str]:
    """What a run below a folder was at when it was killed, by the temporary files that are left of it.

    Before it has shown an update, they may be of an earlier start: then nothing.
    """
    if UPDATE.search(output) is None:
        return []
    names = {SAVING: "checkpoints/.tmp-*", PUBLISHING: ".tmp-published"}
    return [what for what, name in names.items() if any(folder.rglob(name))]
