"""Which θ a run directory holds, and which of the results in it are of that θ. Nothing here needs JAX.

A run may go on after it has been meta-tested, so its files can hold results of several θ. Checkpoints, summaries and
rows record the update and the digest of their θ, and readers keep those of the newest.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from podmeta.errors import InputError
from podmeta.runtime.checkpoint_files import BrokenCheckpointError, read_manifest, steps_in
from podmeta.runtime.files import reason

Row = Mapping[str, Any]  # one line of evaluation.jsonl or learning_curves.jsonl
SHA256 = "meta_params_sha256"


class MetaParamsId(NamedTuple):
    """Which θ.

    Attributes:
      update: updates that made it.
      sha256: the digest of every instance's θ; None where nothing records it.
      in_checkpoint: whether the checkpoint records it. Those saved by podmeta before it did so leave it to the summary.
    """

    update: int
    sha256: tuple[str, ...] | None
    in_checkpoint: bool


class CurrentRows(NamedTuple):
    """The rows that are of a run's newest θ.

    Attributes:
      rows: these rows.
      notes: one line about the rows that were left out, and one about rows that do not record their θ.
    """

    rows: list[dict[str, Any]]
    notes: list[str]


def newest_meta_params(run_path: Path) -> MetaParamsId | None:
    """The θ of the newest good checkpoint; without checkpoints, that of the summary; None without either.

    Raises:
      InputError: summary.json is damaged.
    """
    summary = read_summary(run_path)
    checkpoints_path = run_path / "checkpoints"
    for step in reversed(steps_in(checkpoints_path)):
        try:
            metadata = read_manifest(checkpoints_path, step)["metadata"]
        except BrokenCheckpointError:
            continue
        if SHA256 in metadata:
            return MetaParamsId(step, tuple(metadata[SHA256]), in_checkpoint=True)
        if summary is not None and summary["num_updates"] == step:
            return MetaParamsId(step, _as_tuple(summary[SHA256]), in_checkpoint=False)
        return MetaParamsId(step, None, in_checkpoint=False)
    if summary is None:
        return None
    return MetaParamsId(summary["num_updates"], _as_tuple(summary[SHA256]), in_checkpoint=False)


def read_summary(run_path: Path) -> dict[str, Any] | None:
    """The `summary.json` of a run, whichever θ it is of; None where there is none.

    Raises:
      InputError: it is damaged.
    """
    path = run_path / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not {"num_updates", "env_steps", "seconds", SHA256} <= summary.keys():
            raise ValueError("keys are missing")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): give the run's command once more") from error
    return summary


def summary_of(run_path: Path, newest: MetaParamsId) -> dict[str, Any] | None:
    """The `summary.json` of a run if it is of that θ, else None.

    Raises:
      InputError: it is damaged.
    """
    summary = read_summary(run_path)
    same = summary is not None and (summary["num_updates"], _as_tuple(summary[SHA256])) == newest[:2]
    return summary if same else None


def current_rows(rows: Sequence[Row], newest: MetaParamsId | None, path: Path) -> CurrentRows:
    """The rows that are of the newest θ of a run.

    Rows written by podmeta before it recorded θ are kept only where nothing speaks against them: the run has ended at
    its newest checkpoint, and that checkpoint is as old as the rows. The notes say so.

    Args:
      rows: of `evaluation.jsonl` or `learning_curves.jsonl`.
      newest: the run's newest θ; None where the directory does not say, and the newest that the rows record counts.
      path: the file of the rows, for the notes.
    """
    if newest is None and any(SHA256 in row for row in rows):
        newest = MetaParamsId(max(row["update"] for row in rows if SHA256 in row), None, in_checkpoint=False)
    kept = [dict(row) for row in rows if _is_of(row, newest)]
    unrecorded = sum(SHA256 not in row for row in kept)
    left_out = len(rows) - len(kept)
    notes = []
    if left_out and newest is not None:
        updates = sorted({row["update"] for row in rows if not _is_of(row, newest) and "update" in row})
        older = f"of update {', '.join(f'{update:,}' for update in updates)}" if updates else "of an older θ"
        notes.append(
            f"{path}: {left_out} of {len(rows)} rows are left out, because they are {older} and the run holds the θ of "
            f"update {newest.update:,}: podmeta evaluate run={path.parent} tests that"
        )
    if unrecorded:
        notes.append(
            f"{path}: {unrecorded} rows do not record their θ, and count as results of the run's newest: if it has "
            f"gone on since its meta-test, podmeta evaluate run={path.parent}"
        )
    return CurrentRows(kept, notes)


def _is_of(row: Row, newest: MetaParamsId | None) -> bool:
    if newest is None:
        return True
    if SHA256 not in row:
        return not newest.in_checkpoint and newest.sha256 is not None
    if newest.sha256 is None:
        return bool(row["update"] == newest.update)
    instance = row["setting"].get("instance", 0)
    return instance < len(newest.sha256) and row[SHA256] == newest.sha256[instance]


def _as_tuple(digests: str | list[str]) -> tuple[str, ...]:
    return (digests,) if isinstance(digests, str) else tuple(digests)
