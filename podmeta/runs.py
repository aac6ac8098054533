"""Runs as Python objects: training, reading and testing them in a notebook or a script.

    run = podmeta.train("experiment=bandit", "num_updates=100")
    run.metrics["fitness_mean"]
    run.evaluate("in_distribution").plot()
    agent = run.agent().reset(environment.observation_spec(), environment.action_spec(), seed=0)

The overrides are those of the command line, and so are the run directory and what it holds.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from rich.console import Console

from podmeta.agent import LearnedAlgorithm
from podmeta.config.compose import compose_job
from podmeta.config.paths import is_store_address
from podmeta.config.schema import DevicesConfig, JobConfig
from podmeta.config.suites import experiment_suite, load_suite
from podmeta.config.swaps import swap_notes
from podmeta.config.validate import validate_job
from podmeta.distributed.set_up import set_up
from podmeta.environments.kinds import with_known_kinds
from podmeta.errors import InputError
from podmeta.evaluation.film import make_periodic_film
from podmeta.evaluation.learning_curve import plot_curves
from podmeta.evaluation.logged_results import log_results
from podmeta.evaluation.periodic import make_periodic_test
from podmeta.evaluation.run import evaluate_run, rows_folder
from podmeta.storage.local_copy import fetch_run
from podmeta.storage.meta_params_id import newest_meta_params, summary_of
from podmeta.storage.run_files import CurveRow, EvaluationRow, MetricsRow, Summary, read_curves, read_metrics
from podmeta.storage.trust import RunJob, read_run
from podmeta.training.build import meta_params_shapes
from podmeta.training.export import learned_algorithm_of
from podmeta.training.header import header_lines
from podmeta.training.loop import train as train_job
from podmeta.training.meta_params import NEWEST, restore_meta_params
from podmeta.training.published import published_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_SETTINGS = (
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_cpu_enable_async_dispatch",
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
"""JAX's settings that a job changes."""


def compose(*overrides: str) -> JobConfig:
    """Composes the job of overrides such as "experiment=bandit", "outer.learning_rate=0.01", as on the command line.

    Raises:
      InputError: a key, a type, a value or a file is wrong; the message names it and the cure.
    """
    for override in overrides:
        if not isinstance(override, str):
            raise InputError(f'{override!r} is no override: write compose("experiment=bandit", "seed=1"), each a text')
    return compose_job(list(overrides))


def train(*job: str | JobConfig) -> "Run":
    """Meta-trains a job, from the start or from where its run directory stopped. `Run.evaluate` tests the result.

    Progress goes to standard error. Ctrl-C stops training after the current call to the devices, with a checkpoint. The
    returned run can be read, tested and continued: train the same job with its `run_dir`. A second Ctrl-C ends the
    whole process at once, as on the command line. Outside the main thread, no signal stops training. Afterwards, JAX
    has its former settings. If JAX has already started, its devices are used, whatever `devices.cpu` says.

    Args:
      job: overrides as for `compose`, or one job from `compose`, possibly changed.

    Returns:
      The run.

    Raises:
      InputError: the job is wrong, or does not fit the machine or the run directory.
      PodmetaError: training failed; the newest checkpoint is intact.
    """
    with _settings_of(_composed(job)) as composed:
        overrides = [word for word in job if isinstance(word, str)]
        composed = with_known_kinds(composed, overrides)
        for line in (*header_lines(composed, meta_params_shapes(composed)), *swap_notes(overrides)):
            _show(line)
        test, film = make_periodic_test(composed), make_periodic_film(composed)
        with published_run(composed.run_dir, _show) as published:
            result = train_job(composed, _show, periodic_test=test, film=film, published=published)
    if result.stopped_by is not None:
        _show(f"stopped by {result.stopped_by} at update {result.update} of {composed.num_updates}")
    return Run(published.address if published else result.run_path)


def load_run(path: str | Path, trust: bool = False) -> "Run":
    """Loads an existing run, trained by this program or by `podmeta train`.

    Args:
      path: the run directory, or the address of a run in an object store.
      trust: whether to run code that its config names even if somebody else started the run; see docs/security.md.

    Raises:
      InputError: it is not a run directory.
    """
    return Run(path, trust)


class Run:
    """A run directory.

    Args:
      path: the run directory, or the address of a run in an object store.
      trust: see `load_run`.

    Attributes:
      path: the run directory, absolute; of a run in an object store, its copy on this machine, as it is now.
      job: its config.

    Raises:
      InputError: it is not a run directory.
    """

    def __init__(self, path: str | Path, trust: bool = False) -> None:
        self._named = str(path)
        self.path = fetch_run(self._named) if is_store_address(self._named) else Path(path).absolute()
        self._trust = trust
        self.job = self._read().job

    def __repr__(self) -> str:
        newest = newest_meta_params(self.path)
        update = 0 if newest is None else newest.update
        return f"Run({str(self.path)!r}: {self.job.experiment_name}, update {update:,} of {self.job.num_updates:,})"

    @property
    def metrics(self) -> "Metrics":
        """The metrics of training so far.

        Raises:
          InputError: metrics.jsonl is damaged.
        """
        return Metrics(read_metrics(self.path))

    @property
    def summary(self) -> Summary | None:
        """The summary of the finished run; None while it is unfinished or trained further.

        Raises:
          InputError: summary.json is damaged.
        """
        newest = newest_meta_params(self.path)
        return None if newest is None else summary_of(self.path, newest)

    def agent(self, instance: int = 0, checkpoint: str = NEWEST) -> LearnedAlgorithm:
        """The learned algorithm of the newest checkpoint, whose `reset` makes agents.

        Args:
          instance: number of the instance, if there are several.
          checkpoint: which θ: "newest", or "best" for that of the best meta-test during training.

        Raises:
          InputError: there is no checkpoint yet, no such instance, or no best θ.
        """
        return LearnedAlgorithm(learned_algorithm_of(self.path, instance, trust=self._trust, checkpoint=checkpoint))

    def evaluate(self, suite: str | None = None, *overrides: str, checkpoint: str = NEWEST) -> "Evaluation":
        """Meta-tests θ, prints a table, and adds the rows to the run directory.

        Args:
          suite: a suite of `podmeta evaluate`, such as "in_distribution"; None for the experiment's own settings.
          overrides: keys to change, such as "evaluation.num_tasks=100".
          checkpoint: which θ: "newest", or "best" for that of the best meta-test during training, whose rows go to the
            folder `best` of the run directory.

        Raises:
          InputError: there is no checkpoint, no best θ or no such suite, θ does not fit it, or it needs trust.
        """
        run = self._read(overrides)
        tests = experiment_suite(run.job) if suite is None else load_suite(suite, run.job)
        tests = tests.sized_by(overrides)
        run.check(tests.settings, own_texts=tests.own_texts)
        with _settings_of(run.job) as job, published_run(self._named, _show):
            restored = restore_meta_params(self.path, checkpoint=checkpoint)
            folder = rows_folder(self.path, checkpoint)
            rows = evaluate_run(job, tests, restored.meta_params, restored.updates, folder, Console())
            if folder == self.path:
                log_results(job, tests, restored.meta_params, self.path, rows, _warn)
        measured = {(row.environment, str(row.setting)) for row in rows}
        curves = [
            row
            for row in read_curves(folder)
            if row.suite == tests.name and (row.environment, str(row.setting)) in measured
        ]
        return Evaluation(tests.name, rows, curves)

    def _read(self, overrides: Sequence[str] = ()) -> RunJob:
        return read_run(self.path, overrides, self._trust)


class Metrics(Mapping[str, np.ndarray]):
    """Metrics of training by name, each [num_rows] or [num_rows, num_instances]; NaN if a row has no value.

    `update` holds the updates of the rows.
    """

    def __init__(self, rows: Sequence[MetricsRow]) -> None:
        self._rows = [
            {key: value for key, value in vars(row).items() if key != "others"} | dict(row.others) for row in rows
        ]
        self._names = list(dict.fromkeys(name for row in self._rows for name in row))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        values = [row.get(name) for row in self._rows]
        missing = next(([np.nan] * len(value) for value in values if isinstance(value, list)), np.nan)
        return np.array([missing if value is None else value for value in values])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Metrics({len(self._rows)} rows of {', '.join(self._names)})"

    def to_pandas(self) -> "DataFrame":
        """A data frame with a row per update, and a column per metric, or per metric and instance: NAME/instance_0."""
        columns = {}
        for name, values in self.items():
            if values.ndim == 1:
                columns[name] = values
            else:
                columns |= {f"{name}/instance_{index}": values[:, index] for index in range(values.shape[1])}
        return _pandas_frame(columns)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of a meta-test.

    Attributes:
      suite: its name.
      rows: one per metric, algorithm and setting, as in evaluation.jsonl.
      curves: learning curves inside lifetimes, as in learning_curves.jsonl.
    """

    suite: str
    rows: list[EvaluationRow]
    curves: list[CurveRow]

    def __repr__(self) -> str:
        return f"Evaluation(suite={self.suite!r}, {len(self.rows)} rows)"

    def to_pandas(self) -> "DataFrame":
        """A data frame with a row per metric, algorithm and setting."""
        rows = [
            {key: value for key, value in vars(row).items() if key not in ("others", "setting")}
            | {"setting": ", ".join(f"{key}={value}" for key, value in row.setting.items())}
            for row in self.rows
        ]
        return _pandas_frame({name: [row[name] for row in rows] for name in (rows[0] if rows else {})})

    def plot(self) -> "Figure":
        """A figure of the learning curves inside lifetimes, one panel per setting, with 95% intervals."""
        return plot_curves(self.curves)


def _composed(given: Sequence[str | JobConfig]) -> JobConfig:
    overrides = [each for each in given if isinstance(each, str)]
    jobs = [each for each in given if not isinstance(each, str)]
    if not jobs:
        return compose(*overrides)
    if len(jobs) > 1 or overrides or not isinstance(jobs[0], JobConfig):
        raise InputError(
            'train takes overrides, such as train("experiment=bandit", "seed=1"), or one job from compose: change a '
            "job with dataclasses.replace"
        )
    validate_job(jobs[0])
    return jobs[0]


@contextlib.contextmanager
def _settings_of(job: JobConfig) -> Iterator[JobConfig]:
    """Sets JAX up for the job within the block. Yields the job, with JAX's devices if JAX has already started."""
    before = {name: jax.config.values[name] for name in _SETTINGS}
    try:
        try:
            set_up(job, _warn)
        except InputError:
            if job.devices.cpu == 0:
                raise
            given, job = job.devices.cpu, dataclasses.replace(job, devices=DevicesConfig())
            set_up(job, _warn)  # fails again, unless it was for the number of devices
            _show(
                f"devices.cpu={given}: JAX had already started with {jax.local_device_count()} devices, which are used"
            )
        compilation_cache.reset_cache()  # JAX looks at the setting once
        yield job
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


def _pandas_frame(columns: Mapping[str, object]) -> "DataFrame":
    try:
        import pandas
    except ImportError as error:
        raise InputError("to_pandas needs pandas: pip install pandas") from error
    return pandas.DataFrame(columns)


def _show(line: str) -> None:
    print(line, flush=True)


def _warn(warning: str) -> None:
    _show(f"warning: {warning}")
