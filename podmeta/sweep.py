"""A sweep on this machine: each of its runs has its own process and run directory. One or several run at once."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.paths import check_local, path_override
from podmeta.config.schema import FactoryConfig, JobConfig
from podmeta.config.stages import environments_of, stages_of
from podmeta.config.sweeps import expand_sweep
from podmeta.distributed.children import ChildCommand, run_child, run_children
from podmeta.errors import InputError
from podmeta.evaluation.done import is_done
from podmeta.evaluation.rows import metric_title
from podmeta.storage.json_files import Warn
from podmeta.storage.meta_params_id import current_evaluation, newest_meta_params
from podmeta.storage.run_directory import check_config, make_run_path
from podmeta.storage.run_files import read_metrics

STUDY = "study.jsonl"
"""The file of a study in the folder of a sweep with --trials; see `podmeta.trials`."""

_MAX_LINE = 300  # characters


class SweepRun(NamedTuple):
    """One run of a sweep.

    Attributes:
      overrides: all overrides of its job.
      swept: the overrides in which it differs from the others.
      run_path: its run directory.
      job: its job.
    """

    overrides: list[str]
    swept: list[str]
    run_path: Path
    job: JobConfig

    @property
    def log_path(self) -> Path:
        """The file of its output, if it runs beside others."""
        return self.run_path.with_name(f"{self.run_path.name}.log")

    def is_done(self) -> bool:
        """Whether its run directory holds all results of the job."""
        return is_done(self.job, self.run_path)


def plan_sweep(overrides: list[str]) -> list[SweepRun]:
    """The runs of a sweep. All are composed first, so that none fails on wrong input later.

    The n-th is in the folder n of `run_dir`, or of runs/<experiment_name>/<time>, which is made.

    Raises:
      InputError: a combination is invalid, or the folder of a run holds a run with another config.
    """
    combinations = expand_sweep(overrides)
    jobs = [job_to_record(combination) for combination in combinations]
    base = sweep_folder(jobs[0])
    if os.path.lexists(base / STUDY):
        raise InputError(f"run_dir {base} holds a sweep with --trials: give --trials too, or choose another run_dir")
    shared = set.intersection(*map(set, combinations))
    runs = [
        SweepRun(
            overrides=[override for override in combination if not override.startswith("run_dir=")],
            swept=[override for override in combination if override not in shared],
            run_path=base / str(number),
            job=job,
        )
        for number, (combination, job) in enumerate(zip(combinations, jobs, strict=True))
    ]
    for run in runs:
        check_config(run.run_path, job_to_yaml(run.job))
    return runs


def sweep_folder(job: JobConfig) -> Path:
    """The folder of a sweep, by one of its jobs. The default one is made.

    Raises:
      InputError: it is in an object store, or cannot be made.
    """
    return Path(check_local("run_dir", job.run_dir)) if job.run_dir else make_run_path(job.experiment_name)


def job_to_record(overrides: list[str]) -> JobConfig:
    """The job of these overrides as its run will record it."""
    job = compose_job(overrides)
    environments = [environment for stage in stages_of(job) for environment in environments_of(stage.environment)]
    if not any(isinstance(environment, FactoryConfig) for environment in environments):
        return job
    from podmeta.distributed.devices import set_up_for_absent_devices
    from podmeta.environments.kinds import with_known_kinds

    set_up_for_absent_devices()  # the devices are for the runs
    return with_known_kinds(job, overrides)


def run_sweep(
    runs: list[SweepRun], tell: Callable[[str], None], flags: Sequence[str] = (), num_at_once: int = 1
) -> str | None:
    """Trains the runs that are not done yet. If a run fails, the others still run.

    Args:
      runs: the runs.
      tell: shows the user a line.
      flags: of `podmeta train`, for each run.
      num_at_once: how many run at once. The output of several goes to files beside their run directories.

    Returns:
      The name of the signal that stopped the sweep, to which the runs at work have reacted; or None.

    Raises:
      KeyboardInterrupt: it was interrupted twice, or once while a run at work had nothing to save.
    """
    if num_at_once > 1:
        return _run_at_once(runs, tell, flags, num_at_once)
    for number, run in enumerate(runs):
        if run.is_done():
            continue
        tell(f"run {number + 1} of {len(runs)}: {' '.join(run.swept)}")
        code, stopped = run_child(train_command(run.overrides, run.run_path, flags))
        if stopped is not None:
            if code == 130:
                raise KeyboardInterrupt
            return stopped
        if code != 0:
            tell(f"run {number + 1} ended with exit code {code}")
    return None


def _run_at_once(
    runs: list[SweepRun], tell: Callable[[str], None], flags: Sequence[str], num_at_once: int
) -> str | None:
    left = [run for run in runs if not run.is_done()]
    codes: list[int] = []

    def began(index: int) -> None:
        run = left[index]
        tell(f"run {runs.index(run) + 1} of {len(runs)}: {' '.join(run.swept)}: its output is in {run.log_path}")

    def ended(index: int, code: int) -> None:
        codes.append(code)
        run = left[index]
        finished = "is done" if run.is_done() else "stopped before its end"
        how = finished if code == 0 else f"ended with exit code {code}: {last_line(run.log_path)}"
        tell(f"run {runs.index(run) + 1} {how}")

    if left:
        left[0].log_path.parent.mkdir(parents=True, exist_ok=True)
    commands = [ChildCommand(train_command(run.overrides, run.run_path, flags), run.log_path) for run in left]
    stopped = run_children(commands, num_at_once, began, ended)
    if stopped is not None and 130 in codes:
        raise KeyboardInterrupt
    return stopped


def train_command(overrides: Sequence[str], run_path: Path, flags: Sequence[str]) -> list[str]:
    """The command line of one run of a sweep."""
    words = [sys.executable, "-m", "podmeta", "train", *overrides, path_override("run_dir", run_path)]
    return [*words, *flags]


def last_line(path: Path) -> str:
    """The last line of a log that is not empty."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:_MAX_LINE]


def sweep_table(runs: list[SweepRun], warn: Warn = warnings.warn) -> tuple[Table, list[str]]:
    """The results of every run at its newest θ: its mean fitness, and the first line of its meta-test.

    Returns:
      The table, and lines about results of another θ, which it leaves out.

    Raises:
      InputError: a file of a run is damaged.
    """
    notes = []
    table = Table(title=Text(str(runs[0].run_path.parent)))
    for heading in ("run", "swept", "updates", "fitness", "meta-test"):
        table.add_column(heading, justify="left" if heading == "swept" else "right", overflow="fold")
    for run in runs:
        newest = newest_meta_params(run.run_path)
        update = newest.update if newest else 0
        trained = [row for row in read_metrics(run.run_path, warn) if row.update <= update]
        rows, notes_of_run = current_evaluation(run.run_path, warn)
        tested = next((row for row in rows if row.algorithm == "learner"), None)
        notes += notes_of_run
        table.add_row(
            run.run_path.name,
            " ".join(run.swept),
            str(update) if newest else "",
            ", ".join(f"{fitness:.4g}" for fitness in trained[-1].fitness_by_instance()) if trained else "",
            f"{metric_title(tested.metric)} {tested.mean:.4g}" if tested else "",
        )
    return table, notes
