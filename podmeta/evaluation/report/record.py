"""A run as its directory tells of it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from podmeta.config.compose import job_from_yaml
from podmeta.config.schema import JobConfig
from podmeta.errors import InputError
from podmeta.evaluation.rows import read_rows
from podmeta.runtime.files import reason
from podmeta.runtime.meta_params_id import CurrentRows, MetaParamsId, current_rows, newest_meta_params, summary_of


class RunRecord(NamedTuple):
    """What a run directory holds.

    Attributes:
      name: the run's name in the report.
      path: the directory.
      job: its config.
      config_text: the same, as it was written.
      machine: `environment.json`.
      update: the update of its newest θ; None where no file says.
      summary: `summary.json`; empty where the run has not ended at its newest θ.
      metrics: the rows of `metrics.jsonl`.
      evaluation: the rows of `evaluation.jsonl` about its newest θ; none where that was not meta-tested.
      curves: the rows of `learning_curves.jsonl`; likewise.
      notes: lines about rows of another θ, which are left out, and about rows that do not record theirs.
    """

    name: str
    path: Path
    job: JobConfig
    config_text: str
    machine: dict[str, Any]
    update: int | None
    summary: dict[str, Any]
    metrics: list[dict[str, Any]]
    evaluation: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    notes: list[str]

    @property
    def has_shares(self) -> bool:
        """Whether it tells where the time of actors and learner went, as runs on Sebulba do."""
        return all(SHARES.keys() <= row.keys() for row in self.metrics) and bool(self.metrics)


SHARES = {
    "actor_inference_share": "actors: inference",
    "actor_environment_share": "actors: environments",
    "actor_queue_share": "actors: waiting for the learner",
    "learner_data_share": "learner: waiting for data",
}
"""Where time went, by the metric that says so."""


def read_runs(paths: list[Path]) -> list[RunRecord]:
    """Reads run directories, and gives each a name of its own.

    Raises:
      InputError: one is no run directory, or was written by another version of podmeta.
    """
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    if len(set(names)) < len(names):
        raise InputError(f"a run is named twice: {', '.join(sorted(names))}")
    return [_read_run(path, name) for path, name in zip(paths, names, strict=True)]


def _read_run(path: Path, name: str) -> RunRecord:
    job = job_from_yaml(path / "config.yaml", [])
    metrics = _read_lines(path / "metrics.jsonl")
    if not all({"update", "seconds", "env_steps_per_second", "fitness_mean"} <= row.keys() for row in metrics):
        raise InputError(f"{path / 'metrics.jsonl'} is not what this version of podmeta writes: leave the run out")
    newest = newest_meta_params(path)
    evaluation, curves = (_current_rows(path, file, newest) for file in ("evaluation.jsonl", "learning_curves.jsonl"))
    return RunRecord(
        name,
        path,
        job,
        (path / "config.yaml").read_text(encoding="utf-8"),
        _read_object(path / "environment.json"),
        newest.update if newest else None,
        (summary_of(path, newest) if newest else None) or {},
        metrics,
        evaluation.rows,
        curves.rows,
        [*evaluation.notes, *curves.notes],
    )


def _current_rows(path: Path, file: str, newest: MetaParamsId | None) -> CurrentRows:
    rows = read_rows(path / file) if (path / file).exists() else []
    return current_rows(rows, newest, path / file)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {reason(error)}") from error


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {reason(error)}") from error
