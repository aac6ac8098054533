"""Identifies the θ of a run directory, and the results in it that belong to this θ. Nothing here needs JAX.

A run may be trained further after a meta-test, so its files can hold results of several θ. Checkpoints, summaries and
rows record the update and the digest of their θ, and readers use those of the newest.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from podmeta.config.paths import to_paste
from podmeta.storage.checkpoint_files import BrokenCheckpointError, read_manifest, step_name, steps_in
from podmeta.storage.json_files import Warn
from podmeta.storage.run_files import EVALUATION, CurveRow, EvaluationRow, Summary, read_evaluation, read_summary

Row = TypeVar("Row", EvaluationRow, CurveRow)


class MetaParamsId(NamedTuple):
    """Identifies a θ.

    Attributes:
      update: updates done.
      sha256: the digest of every instance's θ; None if nothing records it.
      in_checkpoint: whether the checkpoint records it. Those saved by podmeta before it did so leave it to the summary.
    """

    update: int
    sha256: tuple[str, ...] | None
    in_checkpoint: bool


def newest_meta_params(run_path: Path) -> MetaParamsId | None:
    """The θ of the newest good checkpoint; without checkpoints, that of the summary; None without either.

    Raises:
      InputError: summary.json is damaged.
    """
    summary = read_summary(run_path)
    checkpoints_path = run_path / "checkpoints"
    for step in reversed(steps_in(checkpoints_path)):
        try:
            recorded = read_manifest(checkpoints_path / step_name(step), step).metadata.meta_params_sha256
        except BrokenCheckpointError:
            continue
        if recorded is not None:
            return MetaParamsId(step, tuple(recorded), in_checkpoint=True)
        if summary is not None and summary.num_updates == step:
            return MetaParamsId(step, summary.sha256_by_instance(), in_checkpoint=False)
        return MetaParamsId(step, None, in_checkpoint=False)
    if summary is None:
        return None
    return MetaParamsId(summary.num_updates, summary.sha256_by_instance(), in_checkpoint=False)


def summary_of(run_path: Path, newest: MetaParamsId) -> Summary | None:
    """The `summary.json` of a run if it is of that θ, else None.

    Raises:
      InputError: it is damaged.
    """
    summary = read_summary(run_path)
    same = summary is not None and (summary.num_updates, summary.sha256_by_instance()) == newest[:2]
    return summary if same else None


def current_rows(rows: Sequence[Row], newest: MetaParamsId | None, path: Path) -> tuple[list[Row], list[str]]:
    """The rows that belong to the newest θ of a run.

    Rows of earlier versions, which did not record θ, are kept only if the run ended at its newest checkpoint and that
    checkpoint is as old as the rows. The notes say so.

    Args:
      rows: of `evaluation.jsonl` or `learning_curves.jsonl`.
      newest: the run's newest θ; None if the directory does not say, and the newest that the rows record counts.
      path: the file of the rows, for the notes.

    Returns:
      These rows; and one line about rows that were left out, and one about rows that do not record their θ.
    """
    if newest is None and any(row.meta_params_sha256 for row in rows):
        newest = MetaParamsId(max(row.update for row in rows if row.meta_params_sha256), None, in_checkpoint=False)
    kept = [row for row in rows if _is_of(row, newest)]
    unrecorded = sum(not row.meta_params_sha256 for row in kept)
    left_out = len(rows) - len(kept)
    notes, cure = [], f"podmeta evaluate {to_paste('run', path.parent)}"
    if left_out and newest is not None:
        updates = sorted({row.update for row in rows if not _is_of(row, newest) and row.update >= 0})
        older = f"of update {', '.join(f'{update:,}' for update in updates)}" if updates else "of an older θ"
        notes.append(
            f"{path}: {left_out} of {len(rows)} rows are left out, because they are {older} and the run holds the θ of "
            f"update {newest.update:,}: {cure} tests that"
        )
    if unrecorded:
        notes.append(
            f"{path}: {unrecorded} rows do not record their θ, and count as results of the run's newest: if it has "
            f"gone on since its meta-test, {cure} tests that"
        )
    return kept, notes


def current_evaluation(run_path: Path, warn: Warn = warnings.warn) -> tuple[list[EvaluationRow], list[str]]:
    """The rows of a run's `evaluation.jsonl` about its newest θ; see `current_rows`.

    Raises:
      InputError: it or summary.json is damaged.
    """
    return current_rows(read_evaluation(run_path, warn), newest_meta_params(run_path), run_path / EVALUATION)


def _is_of(row: Row, newest: MetaParamsId | None) -> bool:
    if newest is None:
        return True
    if not row.meta_params_sha256:
        return not newest.in_checkpoint and newest.sha256 is not None
    if newest.sha256 is None:
        return row.update == newest.update
    instance: int = row.setting.get("instance", 0)
    return instance < len(newest.sha256) and row.meta_params_sha256 == newest.sha256[instance]
