"""The content of a run directory, for a report."""

from pathlib import Path
from typing import NamedTuple

from podmeta.config.schema import JobConfig
from podmeta.errors import InputError
from podmeta.storage.json_files import Warn
from podmeta.storage.meta_params_id import current_rows, newest_meta_params, summary_of
from podmeta.storage.provenance import Provenance, read_provenance
from podmeta.storage.run_files import (
    AGENT,
    CURVES,
    EVALUATION,
    CurveRow,
    EvaluationRow,
    MetricsRow,
    Summary,
    read_curves,
    read_evaluation,
    read_metrics,
)
from podmeta.storage.trust import RunJob, read_run


class RunRecord(NamedTuple):
    """What a run directory holds.

    Attributes:
      name: the run's name in the report.
      run: its directory and config.
      provenance: `environment.json`.
      update: the update of its newest θ; None if no file says.
      summary: `summary.json`; None if the run has not ended at its newest θ.
      metrics: the rows of `metrics.jsonl`.
      evaluation: the rows of `evaluation.jsonl` about its newest θ; none where that was not meta-tested.
      curves: the rows of `learning_curves.jsonl` about its newest θ.
      notes: lines about rows of another θ, which are left out, and about rows that do not record theirs.
    """

    name: str
    run: RunJob
    provenance: Provenance
    update: int | None
    summary: Summary | None
    metrics: list[MetricsRow]
    evaluation: list[EvaluationRow]
    curves: list[CurveRow]
    notes: list[str]

    @property
    def job(self) -> JobConfig:
        """Its config."""
        return self.run.job

    @property
    def has_shares(self) -> bool:
        """Whether it tells where the time of actors and learner went, as runs on Sebulba do."""
        known = [row.number(name) is not None for row in self.metrics for name in SHARES]
        return bool(known) and all(known)


SHARES = {
    "actor_inference_share": "actors: inference",
    "actor_environment_share": "actors: environments",
    "actor_queue_share": "actors: waiting for the learner",
    "learner_data_share": "learner: waiting for data",
}
"""Where time went, by the metric that says so."""


def read_runs(paths: list[Path], warn: Warn, trust: bool = False) -> list[RunRecord]:
    """Reads run directories, and gives each a unique name.

    Args:
      paths: the run directories.
      warn: shows the user a warning.
      trust: whether the user trusts them, whoever made them.

    Raises:
      InputError: one is not a run directory, or a file in it is damaged.
    """
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    if len(set(names)) < len(names):
        raise InputError(f"a run is named twice: {', '.join(sorted(names))}")
    return [_read_run(path, name, warn, trust) for path, name in zip(paths, names, strict=True)]


def _read_run(path: Path, name: str, warn: Warn, trust: bool) -> RunRecord:
    if (path / AGENT).exists():
        raise InputError(
            f"{path} holds the evaluation of an agent, and a report is about runs: `podmeta compare` reads such folders"
        )
    run = read_run(path, trust=trust)
    newest = newest_meta_params(path)
    evaluation, evaluation_notes = current_rows(read_evaluation(path, warn), newest, path / EVALUATION)
    curves, curve_notes = current_rows(read_curves(path, warn), newest, path / CURVES)
    return RunRecord(
        name,
        run,
        read_provenance(path),
        newest.update if newest else None,
        summary_of(path, newest) if newest else None,
        read_metrics(path, warn),
        evaluation,
        curves,
        evaluation_notes + curve_notes,
    )
