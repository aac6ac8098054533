"""Meta-testing the θ of a run, and writing what came out beside it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from podmeta.config.resolve import evaluation_settings
from podmeta.config.schema import BanditConfig, JobConfig
from podmeta.evaluation.learning_curve import draw_learning_curves
from podmeta.evaluation.meta_test import EvaluationRow, Lifetimes, check_fit, meta_test, tabulate
from podmeta.evaluation.table import make_table
from podmeta.learners.base import MetaParams
from podmeta.runtime.files import write_atomically
from podmeta.runtime.program import state_shapes

SUITE = "experiment"


def evaluate_run(job: JobConfig, meta_params: MetaParams, run_path: Path, console: Console) -> list[EvaluationRow]:
    """Meta-tests every instance in every setting of the experiment.

    Writes `evaluation.jsonl` and `learning_curves.png` in the run directory, and prints the table.

    Args:
      job: the run's config.
      meta_params: θ, [num_instances, ...].
      run_path: the run directory.
      console: where the table goes.

    Returns:
      All rows.

    Raises:
      InputError: a setting does not exist, or θ does not fit it.
    """
    rows: list[EvaluationRow] = []
    curves: dict[str, dict[str, Lifetimes]] = {}
    num_instances = jax.tree.leaves(meta_params)[0].shape[0]
    for environment_config, told in evaluation_settings(job):
        for instance in range(num_instances):
            setting = _setting(environment_config, told) | ({"instance": instance} if num_instances > 1 else {})
            measured = meta_test(
                jax.tree.map(lambda leaf, instance=instance: leaf[instance], meta_params),
                job.learner,
                environment_config,
                job.evaluation.num_tasks,
                job.evaluation.seed,
            )
            rows += tabulate(SUITE, setting, environment_config.name, measured)
            curves[", ".join(f"{key}={value}" for key, value in setting.items())] = measured
    _write_rows(run_path / "evaluation.jsonl", rows)
    draw_learning_curves(run_path / "learning_curves.png", curves)
    console.print(make_table(rows))
    return rows


def check_settings(job: JobConfig) -> None:
    """Checks that the θ of a job will fit every setting it is to be meta-tested in. Nothing is computed.

    Raises:
      InputError: it will not, which is better told before training than after.
    """
    meta_params = state_shapes(job).outer.meta_params
    of_one_instance = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), meta_params)
    for environment_config, _ in evaluation_settings(job):
        check_fit(of_one_instance, job.learner, environment_config)


def _setting(environment_config: Any, told: dict[str, Any]) -> dict[str, Any]:
    """What tells this meta-test from its neighbours."""
    always = ("num_arms", "lifetime_length") if isinstance(environment_config, BanditConfig) else ("lifetime_length",)
    return {key: getattr(environment_config, key) for key in always} | told


def _write_rows(path: Path, rows: list[EvaluationRow]) -> None:
    """Adds rows to the file; those of an earlier meta-test of the same thing give way."""
    new = [dataclasses.asdict(row) for row in rows]
    tested = {_identity(row) for row in new}
    old = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    kept = [row for row in old if _identity(row) not in tested]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept + new))


def _identity(row: dict[str, Any]) -> str:
    return json.dumps([row["suite"], row["environment"], row["setting"]], sort_keys=True)
