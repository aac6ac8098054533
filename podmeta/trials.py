"""A sweep whose values Optuna's sampler chooses, and whose hopeless runs its pruner stops early.

Every trial is a run in a process of its own, which knows nothing of Optuna. This process reads the meta-tests during
training from the runs' metrics, and keeps the study in a file of the sweep's folder, which a later start goes on with.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from podmeta.config.compose import job_to_yaml
from podmeta.config.periodic_tests import describe_periodic_tests
from podmeta.config.run_config import parse_run_config
from podmeta.config.schema import JobConfig
from podmeta.config.sweeps import Interval, SearchSpace, search_space
from podmeta.data_files import open_data
from podmeta.distributed.children import ChildCommand, RunCommands, run_children
from podmeta.errors import InputError
from podmeta.evaluation.done import is_done
from podmeta.storage.files import open_regular_file, reason
from podmeta.storage.json_files import damaged_line, decode, parse_object
from podmeta.storage.run_directory import ABSENT, differing_keys, refuse_changes
from podmeta.storage.run_files import METRICS, SUMMARY, read_summary
from podmeta.storage.run_lock import RunLock, holder_of
from podmeta.sweep import STUDY, job_to_record, last_line, sweep_folder, train_command
from podmeta.training.best import MEAN_REWARD

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

_LOCK = "study.lock"
_NAME = "podmeta"
_CHANGEABLE_KEYS = (
    *("run_dir", "resume", "profile", "compilation_cache_dir"),
    *("checkpoint.*", "devices.*", "distributed.*", "logging.*"),
)
"""Config keys that do not change what a trial reaches."""

_SECONDS_UNTIL_RELEASED = 10.0  # a run whose sweep was killed ends within 5 s
_SECONDS_BETWEEN_LOOKS = 0.1


class TrialRow(NamedTuple):
    """A trial as the table of a sweep shows it.

    Attributes:
      number: its number, and the name of its run directory.
      values: the overrides that were chosen for it.
      state: "complete", "pruned", "fail" or "running": it was stopped, and the next start goes on with it.
      update: of its last meta-test; None before the first.
      reward: its best meta-test; None before the first.
    """

    number: int
    values: list[str]
    state: str
    update: int | None
    reward: float | None


class Trials:
    """The trials of a sweep, whose folder this process alone holds until `close`.

    Attributes:
      base: the folder. The run directory of trial n is the folder n inside.
    """

    def __init__(self, overrides: list[str], num_trials: int, tell: Callable[[str], None]) -> None:
        """Opens the study, or begins one.

        Args:
          overrides: of the job, with the values to choose from; see `search_space`.
          num_trials: how many there are to be, with those of earlier starts.
          tell: shows the user a line.

        Raises:
          InputError: Optuna is not installed; a job at an end of an interval is invalid; the trials do not compare; or
            the folder holds another sweep, or is held by another process.
        """
        _check_installed()
        self._space = search_space(overrides)
        self._num_trials = num_trials
        self._tell = tell
        jobs = [job_to_record(extreme) for extreme in self._space.extremes()]
        _check_comparable(jobs)
        self.base = sweep_folder(jobs[0])
        _check_no_plain_sweep(self.base)
        self._lock = RunLock(self.base, _LOCK)
        try:
            self._distributions = {key: _distribution(values) for key, values in self._space.keys.items()}
            self._study = _open_study(self.base / STUDY, jobs[0], self._space)
        except BaseException:
            self.close()
            raise
        self._at_work: list[_TrialAtWork] = []

    def close(self) -> None:
        """Releases the folder."""
        self._lock.release()

    def run(self, flags: Sequence[str], num_at_once: int, run_commands: RunCommands = run_children) -> str | None:
        """Trains the trials that are not done yet. If one fails, the others still run.

        Args:
          flags: of `podmeta train`, for each run.
          num_at_once: how many run at once. Their output goes to files beside their run directories.
          run_commands: runs the commands of the trials, here or on other machines that reach the folder.

        Returns:
          The name of the signal that stopped the sweep; or None.

        Raises:
          KeyboardInterrupt: it was interrupted twice, or once while a run at work had nothing to save.
        """
        codes: list[int] = []

        def ended(index: int, code: int) -> None:
            codes.append(code)
            self._settle(self._at_work[index], code)

        stopped = run_commands(self._commands(flags), num_at_once, self._began, ended, self._ends_now)
        if stopped is not None and 130 in codes:
            raise KeyboardInterrupt
        return stopped

    def rows(self) -> list[TrialRow]:
        """All trials so far, by number."""
        return [
            TrialRow(
                trial.number,
                self._values_of(trial),
                trial.state.name.lower(),
                max(trial.intermediate_values, default=None),
                max(trial.intermediate_values.values(), default=None) if trial.value is None else trial.value,
            )
            for trial in self._study.get_trials(deepcopy=False)
        ]

    def is_done(self) -> bool:
        """Whether there are as many trials as there are to be, and none is to go on."""
        states = [row.state for row in self.rows()]
        return len(states) >= self._num_trials and "running" not in states

    def _commands(self, flags: Sequence[str]) -> Iterator[ChildCommand]:
        """The commands of the trials, each chosen when it is asked for; first those that an earlier start has left."""
        left = [trial.number for trial in self._study.get_trials(deepcopy=False) if trial.state.name == "RUNNING"]
        while left or len(self._study.get_trials(deepcopy=False)) < self._num_trials:
            trial = self._resumed(left.pop(0)) if left else self._study.ask(self._distributions)
            values = self._values_of(trial)
            overrides = [word for word in self._space.fixed if not word.startswith("run_dir=")] + values
            run_path = self.base / str(trial.number)
            try:
                job = job_to_record(overrides)
            except InputError as error:  # its values do not go together
                self._tell(f"trial {trial.number}: {' '.join(values)}: {error}")
                self._study.tell(trial.number, state=_state("FAIL"))
                continue
            at_work = _TrialAtWork(trial, job, run_path, f"{trial.number} of {self._num_trials}: {' '.join(values)}")
            _wait_until_released(run_path)
            if is_done(job, run_path):  # the sweep was killed before it could note that
                self._settle(at_work, 0)
                continue
            self._at_work.append(at_work)
            yield ChildCommand(train_command(overrides, run_path, flags), at_work.log_path)

    def _resumed(self, number: int) -> "Trial":
        """A trial that an earlier start has left. If a kill came while its values were chosen, the rest are now."""
        from optuna.trial import Trial

        trial = Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)
        for key in self._distributions.keys() - trial.params.keys():
            trial._suggest(key, self._distributions[key])
        return trial

    def _values_of(self, trial: "Trial | FrozenTrial") -> list[str]:
        """The values chosen for a trial, as overrides. The file may be another's: they are numbers, or of our texts."""
        texts = []
        for key, values in self._space.keys.items():
            if key not in trial.params:
                continue
            value = trial.params[key]
            is_of_space = isinstance(value, int | float) if isinstance(values, Interval) else value in values
            if not is_of_space:
                raise InputError(f"{self.base / STUDY} is damaged: trial {trial.number} has {key}={value!r}")
            texts.append(f"{key}={values.text(value) if isinstance(values, Interval) else value}")
        return texts

    def _began(self, index: int) -> None:
        at_work = self._at_work[index]
        self._tell(f"trial {at_work.title}: its output is in {at_work.log_path}")

    def _ends_now(self, index: int) -> bool:
        """Notes new meta-tests of a trial at work, and says whether the pruner has just given it up."""
        at_work = self._at_work[index]
        if at_work.is_pruned or not at_work.note_tests() or at_work.newest >= at_work.job.num_updates:
            return False
        at_work.is_pruned = bool(at_work.trial.should_prune())
        return at_work.is_pruned

    def _settle(self, at_work: "_TrialAtWork", code: int) -> None:
        """Notes how a trial has ended. One that a signal has stopped stays as it is, for the next start."""
        at_work.note_tests()
        number = at_work.trial.number
        if is_done(at_work.job, at_work.run_path):
            value = at_work.value()
            self._study.tell(number, value)
            self._tell(f"trial {number} is done: {value:.4g} reward per env step at best")
        elif at_work.is_pruned:
            self._study.tell(number, state=_state("PRUNED"))
            self._tell(f"trial {number} is pruned at update {at_work.newest:,}: it is worse than half of the others")
        elif code > 0 and code != 130:
            self._study.tell(number, state=_state("FAIL"))
            self._tell(f"trial {number} ended with exit code {code}: {last_line(at_work.log_path)}")


class _TrialAtWork:
    """A trial whose run is trained.

    Attributes:
      newest: the update of its newest meta-test; 0 before the first.
      is_pruned: whether the pruner has given it up.
    """

    def __init__(self, trial: "Trial", job: JobConfig, run_path: Path, title: str) -> None:
        self.trial = trial
        self.job = job
        self.run_path = run_path
        self.title = title
        self.log_path = run_path.with_name(f"{run_path.name}.log")
        self.is_pruned = False
        reported: Mapping[int, float] = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self.newest = max(reported, default=0)
        self._file_id: tuple[int, int] | None = None
        self._position, self._num_lines = 0, 0  # in the file, up to which its lines have been read

    def note_tests(self) -> bool:
        """Reports the meta-tests that the run has written since the last look. Says whether there were any."""
        is_new = False
        for update, reward in self._tests_since():
            if update > self.newest:  # a resumed run may do some again, and they come out the same
                self.trial.report(reward, update)
                self.newest, is_new = update, True
        return is_new

    def value(self) -> float:
        """The best meta-test of a run that has ended, over all instances.

        Raises:
          InputError: its summary has none.
        """
        summary = read_summary(self.run_path)
        if summary is None or summary.meta_tests is None or not summary.meta_tests.scores:
            raise InputError(f"{self.run_path / SUMMARY} is damaged: it has no meta_tests. Delete {self.run_path}")
        return float(np.mean(summary.meta_tests.scores))

    def _tests_since(self) -> Iterator[tuple[int, float]]:
        path = self.run_path / METRICS
        with contextlib.suppress(OSError):  # not there yet
            status = path.lstat()
            if (status.st_dev, status.st_ino) != self._file_id or status.st_size < self._position:
                self._file_id = (status.st_dev, status.st_ino)
                self._position, self._num_lines = 0, 0  # written anew, by a resumed run
            if status.st_size == self._position:
                return
            with open_data(path) as file:
                file.seek(self._position)
                whole = file.read().rpartition(b"\n")
            self._position += len(whole[0]) + len(whole[1])
            for line in (whole[0] + whole[1]).split(b"\n")[:-1]:
                self._num_lines += 1
                if MEAN_REWARD.encode() in line:
                    yield _read_test(path, self._num_lines, line)


@dataclasses.dataclass(frozen=True)
class _TestedRow:
    """What a line of metrics.jsonl with a meta-test has."""

    update: int
    test_reward_mean: float | list[float]  # MEAN_REWARD


def _read_test(path: Path, number: int, line: bytes) -> tuple[int, float]:
    """The update of a meta-test and its reward, over all instances.

    Raises:
      InputError: the line is damaged.
    """
    try:
        row = decode(_TestedRow, parse_object(line))
    except ValueError as error:
        raise damaged_line(path, number, error, "Delete that line") from error
    return row.update, float(np.mean(row.test_reward_mean))


def trials_table(trials: Trials) -> Table:
    """A line per trial, the best first."""
    table = Table(title=Text(str(trials.base)))
    for heading in ("trial", "values", "state", "update", "reward per env step"):
        table.add_column(heading, justify="left" if heading in ("values", "state") else "right", overflow="fold")
    by_reward = sorted(
        trials.rows(), key=lambda row: (row.state != "complete", -np.inf if row.reward is None else -row.reward)
    )
    for row in by_reward:
        shown = ("" if row.update is None else f"{row.update:,}", "" if row.reward is None else f"{row.reward:.4g}")
        table.add_row(str(row.number), " ".join(row.values), row.state, *shown)
    return table


def _check_installed() -> None:
    try:
        import optuna
    except ImportError as error:
        raise InputError("--trials needs the package optuna: pip install 'podmeta[optuna]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _check_comparable(jobs: Sequence[JobConfig]) -> None:
    """Checks that trials have meta-tests during training, all on the same tasks."""
    for job in jobs:
        every = job.evaluation.every_updates
        if not 0 < every <= job.num_updates:
            raise InputError(
                "--trials compares the meta-tests during training: set evaluation.every_updates, to at most "
                f"num_updates={job.num_updates}; it is {every}"
            )
    if len({describe_periodic_tests(job) for job in jobs}) > 1:
        raise InputError(
            "--trials compares the meta-tests during training, and the values searched over change what is tested: "
            "choose a suite for all with evaluation.periodic_suite, or leave these keys out"
        )


def _check_no_plain_sweep(base: Path) -> None:
    if not os.path.lexists(base / STUDY) and any(os.path.lexists(base / name) for name in ("0", "config.yaml")):
        raise InputError(f"run_dir {base} holds runs that are not of a sweep with --trials: choose another run_dir")


def _open_study(path: Path, job: JobConfig, space: SearchSpace) -> "Study":
    """The study in a file, which is made where there is none.

    Raises:
      InputError: it is damaged, or of another sweep.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    searched, text = space.described(), job_to_yaml(job)
    try:
        _cut_half_line(path)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=_HeldLock()))
        study = optuna.create_study(storage=storage, study_name=_NAME, direction="maximize", load_if_exists=True)
        if "job" not in study.user_attrs:
            study.set_user_attr("searched", searched)
            study.set_user_attr("job", text)
        searched_there, text_there = study.user_attrs["searched"], study.user_attrs["job"]
        num_trials = len(study.get_trials(deepcopy=False))
        old, new = parse_run_config(text_there, str(path)), parse_run_config(text, str(path))
        differing = [entry for entry in differing_keys(old, new) if entry[1] != ABSENT and entry[0] not in searched]
        differing = [*differing_keys(searched_there, searched), *differing]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise InputError(f"{path} cannot be read: {reason(error)}. Choose another run_dir") from error
    refuse_changes(f"run_dir {path.parent} holds a sweep", "that sweep", differing, _CHANGEABLE_KEYS)
    # The seed depends on how far the study is: with that of an earlier start, the same values would come again.
    study.sampler = optuna.samplers.TPESampler(seed=(job.seed + num_trials) % 2**32)
    study.pruner = optuna.pruners.MedianPruner()
    return study


def _cut_half_line(path: Path) -> None:
    """Makes the file where there is none, and cuts off a line that a kill has left half written.

    Raises:
      OSError: it is a link, or cannot be written.
    """
    with os.fdopen(open_regular_file(path), "r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


class _HeldLock:
    """The lock that Optuna takes for every line that it writes. The lock of the folder is held all the time."""

    def acquire(self) -> bool:
        """It is held."""
        return True

    def release(self) -> None:
        """The folder's lock stays."""


def _distribution(values: Interval | tuple[str, ...]) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Interval):
        return CategoricalDistribution(values)
    if values.is_integer:
        return IntDistribution(int(values.low), int(values.high), log=values.is_log, step=values.step)
    return FloatDistribution(values.low, values.high, log=values.is_log)


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


def _wait_until_released(run_path: Path) -> None:
    end = time.monotonic() + _SECONDS_UNTIL_RELEASED
    while holder_of(run_path) is not None and time.monotonic() < end:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
