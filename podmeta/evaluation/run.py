"""Meta-testing the θ of a run or an agent on a suite, and writing the rows."""

import dataclasses
import functools
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console

from podmeta.config.resolve import EvaluationSetting
from podmeta.config.schema import BanditConfig, JobConfig, LearnerConfig
from podmeta.config.suites import EXPERIMENT, Suite, experiment_suite, row_setting
from podmeta.config.titles import environment_title
from podmeta.environments.kinds import with_known_settings
from podmeta.errors import InputError
from podmeta.evaluation.baselines.contenders import (
    ALWAYS_THERE,
    REFERENCES,
    Companion,
    check_fit,
    check_references,
    check_setting,
    fits,
)
from podmeta.evaluation.counts import count_verdicts, counts_in_lines
from podmeta.evaluation.curves import curve_rows
from podmeta.evaluation.learning_curve import draw_learning_curves
from podmeta.evaluation.meta_test import STEP_TIME, meta_test, tabulate
from podmeta.evaluation.progress import show_settings
from podmeta.evaluation.rollouts import Lifetimes, scored_by_failures
from podmeta.evaluation.step_time import microseconds_per_step
from podmeta.evaluation.table import make_suite_tables, make_table
from podmeta.evaluation.tasks import describe_tasks
from podmeta.learners.base import MetaParams
from podmeta.storage.checkpoints import sha256_by_instance
from podmeta.storage.files import reason, write_atomically
from podmeta.storage.json_files import Warn, ignore
from podmeta.storage.meta_test_record import BEST
from podmeta.storage.run_directory import check_entries
from podmeta.storage.run_files import (
    CURVES,
    EVALUATION,
    CurveRow,
    EvaluationRow,
    read_curves,
    read_evaluation,
    to_json_lines,
)
from podmeta.storage.trust import read_run
from podmeta.training.meta_params import restore_meta_params

Row = EvaluationRow | CurveRow


def load_companion(run_path: Path, warn: Warn = warnings.warn, trust: bool = False) -> Companion:
    """The learner of another run, by the name of its directory; of several instances the first.

    Args:
      run_path: the run directory.
      warn: shows the user a warning.
      trust: whether to run code that the run's config names as its learner, whoever started it.

    Raises:
      InputError: it is not a run directory, has no good checkpoint, has the name of a built-in algorithm, or needs
        trust.
    """
    name = run_path.resolve().name
    if name in ALWAYS_THERE or name in REFERENCES:
        raise InputError(f"beside={run_path}: rows about {name} are of another algorithm: rename the directory")
    run = read_run(run_path, trust=trust)
    run.check_learner("add --trust")
    meta_params = restore_meta_params(run_path, warn).meta_params
    return Companion(name, jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), meta_params), run.job.learner)


def evaluate_run(
    job: JobConfig,
    suite: Suite,
    meta_params: MetaParams,
    updates: int | Sequence[int],
    run_path: Path,
    console: Console,
    companions: Sequence[Companion] = (),
    goes_on: bool = False,
) -> list[EvaluationRow]:
    """Meta-tests every instance in every setting of a suite.

    Adds to `evaluation.jsonl` and `learning_curves.jsonl` in the run directory, setting by setting, and prints a
    table; the experiment's own suite is drawn in `learning_curves.png`, too. Settings of another suite that θ does not
    fit are left out.

    Args:
      job: the run's config.
      suite: what to test.
      meta_params: θ, [num_instances, ...].
      updates: the update it is of, or one for each instance.
      run_path: the run directory, or another folder for the rows; see `rows_folder`.
      console: where the table goes.
      companions: other learners, which meet the same tasks where their θ fits.
      goes_on: whether settings whose rows are there, of the same θ, tasks and number of tasks, are not measured again.

    Returns:
      All rows.

    Raises:
      InputError: a setting does not exist, θ does not fit it or fits none of another suite, or a file of the run is
        damaged.
    """
    check_files(run_path, lambda line: console.print(f"warning: {line}", markup=False))
    suite = with_known_settings(suite)
    digests = sha256_by_instance(meta_params)
    by_instance = [updates] * len(digests) if isinstance(updates, int) else list(updates)
    learner = learner_in(suite, job.learner)
    companions = [each._replace(learner_config=learner_in(suite, each.learner_config)) for each in companions]
    tests = [
        _Test(setting, instance if len(digests) > 1 else None, digest)
        for setting in _fitting(suite, learner, one_instance(meta_params), console)
        for instance, digest in enumerate(digests)
    ]
    old = read_evaluation(run_path, ignore) if goes_on else []
    rows_there = [_rows_there(test, job, suite, old) for test in tests]
    num_there = sum(map(bool, rows_there))
    if num_there:
        console.print(
            f"{num_there} of {len(tests)} settings are measured already, with this θ, on these tasks: the rows are in "
            f"{run_path / EVALUATION}",
            markup=False,
        )
    rows: list[EvaluationRow] = []
    measured_by_setting: dict[str, dict[str, Lifetimes]] = {}
    at_work = show_settings([test.title for test in tests], job.logging.progress)
    for number in at_work:
        test, kept = tests[number], rows_there[number]
        if kept:
            rows += kept
            continue
        own_params = jax.tree.map(lambda leaf, test=test: jnp.asarray(leaf[test.instance or 0]), meta_params)
        update = by_instance[test.instance or 0]
        measured, own_rows, own_curves = _measure(test, job, suite, learner, own_params, update, companions)
        # Written now, so that an interruption loses the setting that is being measured and no other.
        _write_rows(run_path / CURVES, own_curves, read_curves(run_path, ignore))
        _write_rows(run_path / EVALUATION, own_rows, read_evaluation(run_path, ignore))
        rows += own_rows
        measured_by_setting[test.words] = measured
        # Every setting has programs of its own. Each holds hundreds of memory maps, of which Linux allows 65,530.
        jax.clear_caches()
    if suite.name == EXPERIMENT:
        draw_learning_curves(run_path / "learning_curves.png", measured_by_setting, f"θ of update {max(by_instance):,}")
        console.print(make_table(rows))
    else:
        console.print(make_suite_tables(rows))
        for line in counts_in_lines(count_verdicts(rows)):
            console.print(line, markup=False)
    return rows


class _Test(NamedTuple):
    """A setting in which an instance of θ is tested.

    Attributes:
      setting: the setting.
      instance: which of several instances; None if there is one.
      digest: of its θ.
    """

    setting: EvaluationSetting
    instance: int | None
    digest: str

    @property
    def row_setting(self) -> dict[str, Any]:
        """What its rows call the setting."""
        return row_setting(self.setting, self.instance)

    @property
    def words(self) -> str:
        """The same in words."""
        return ", ".join(f"{key}={value}" for key, value in self.row_setting.items())

    @property
    def title(self) -> str:
        """The environment and the setting."""
        return f"{environment_title(self.setting.environment)}, {self.words}"


def _measure(
    test: _Test,
    job: JobConfig,
    suite: Suite,
    learner: LearnerConfig,
    meta_params: MetaParams,
    update: int,
    companions: Sequence[Companion],
) -> tuple[dict[str, Lifetimes], list[EvaluationRow], list[CurveRow]]:
    """The lifetimes of a test, and its rows for both files."""
    environment_config, setting = test.setting.environment, test.row_setting
    measured = meta_test(
        meta_params,
        learner,
        environment_config,
        suite.tasks_in(environment_config, job.evaluation.num_tasks),
        job.evaluation.seed,
        suite.references,
        companions,
    )
    if test.setting.scored_by_failures:
        measured = {name: scored_by_failures(lifetimes) for name, lifetimes in measured.items()}
    about = functools.partial(
        dataclasses.replace,
        update=update,
        meta_params_sha256=test.digest,
        evaluation_seed=job.evaluation.seed,
    )
    shows_something = not isinstance(environment_config, BanditConfig)
    rows = tabulate(suite.name, setting, environment_config.name, measured, shows_something)
    if suite.name != EXPERIMENT:  # whose rows are the same for every run of the same seed
        timed = microseconds_per_step(meta_params, learner, environment_config)
        rows.append(EvaluationRow(suite.name, environment_config.name, setting, "learner", STEP_TIME, *timed))
    curves = curve_rows(suite.name, setting, environment_config.name, measured)
    tasks = describe_tasks(job, environment_config)
    title = environment_title(environment_config)
    return measured, [about(row, tasks=tasks, environment_id=title) for row in rows], list(map(about, curves))


def _rows_there(test: _Test, job: JobConfig, suite: Suite, old: Sequence[EvaluationRow]) -> list[EvaluationRow]:
    """The rows of a test among old ones; none if they are of another θ, of other tasks or of another number of them."""
    environment = test.setting.environment
    identity = _identity(EvaluationRow(suite.name, environment.name, test.row_setting, "", "", 0, 0, 0, 0))
    rows = [row for row in old if _identity(row) == identity]
    wanted = (test.digest, job.evaluation.seed, suite.tasks_in(environment, job.evaluation.num_tasks))
    found = {(row.meta_params_sha256, row.evaluation_seed, row.num_tasks) for row in rows if row.metric != STEP_TIME}
    return rows if found == {wanted} else []


def rows_folder(run_path: Path, checkpoint: str) -> Path:
    """Where the rows about a θ of a run go: those about the best have a folder of their own, which is made.

    Args:
      run_path: the run directory.
      checkpoint: "newest" or "best".

    Raises:
      InputError: the folder cannot be made, or something else is there.
    """
    if checkpoint != BEST:
        return run_path
    check_entries(run_path)
    path = run_path / BEST
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {reason(error)}") from error
    return path


def check_files(run_path: Path, warn: Warn = warnings.warn) -> None:
    """Checks that rows can be added to what is there, before the time that measuring them takes.

    Raises:
      InputError: a file is damaged, or a folder or link stands where a file belongs.
    """
    check_entries(run_path)
    read_evaluation(run_path, warn)
    read_curves(run_path, warn)


def check_settings(job: JobConfig, meta_params: MetaParams) -> None:
    """Checks before training that the meta-test after it will run, by tracing its programs. Nothing is computed.

    Args:
      job: the job.
      meta_params: the shapes of one θ of it.

    Raises:
      InputError: a setting cannot be tested; the message names it.
    """
    suite = with_known_settings(experiment_suite(job))
    for environment_config, overrides in suite.settings:
        try:
            check_setting(meta_params, job.learner, environment_config, suite.references)
        except InputError as error:
            raise InputError(f"evaluation.settings, {overrides or environment_config.name}: {error}") from error


def learner_in(suite: Suite, config: LearnerConfig) -> LearnerConfig:
    """The learner as a suite tests it."""
    return dataclasses.replace(config, scale_observations=True) if suite.scale_observations else config


def one_instance(meta_params: MetaParams) -> MetaParams:
    """The shapes of one of the θ."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), meta_params)


def _fitting(
    suite: Suite, learner: LearnerConfig, meta_params: MetaParams, console: Console
) -> list[EvaluationSetting]:
    """The settings that θ fits. A job's own must all fit; those of another suite that do not are left out.

    Raises:
      InputError: a job's own setting does not fit, or none of another suite, or a setting cannot be tested at all.
    """
    check_references(suite.references)
    fitting = [setting for setting in suite.settings if fits(meta_params, learner, setting.environment)]
    num_unfit = len(suite.settings) - len(fitting)
    if not fitting or (num_unfit and suite.name == EXPERIMENT):
        for setting in suite.settings:
            check_fit(meta_params, learner, setting.environment)
    if num_unfit:
        console.print(
            f"{num_unfit} of {len(suite.settings)} settings are left out: the θ of learner.name={learner.name} is "
            "tied to other sizes",
            markup=False,
        )
    return fitting


def _write_rows(path: Path, new: Sequence[Row], old: Sequence[Row]) -> None:
    """Adds rows to a file, in place of those of an earlier meta-test of the same thing."""
    tested = {_identity(row) for row in new}
    kept = [row for row in old if _identity(row) not in tested]
    write_atomically(path, to_json_lines([*kept, *new]))


def _identity(row: Row) -> str:
    return json.dumps([row.suite, row.environment, row.setting], sort_keys=True)
