"""`podmeta train`: meta-trains a job, or a sweep of jobs, then meta-tests it."""

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from podmeta.cli.arguments import Call, Commands, add_config_dir, add_trust, config_dir_flags, listing, run_to_read
from podmeta.cli.console import PlainConsole
from podmeta.config.schema import JobConfig
from podmeta.errors import InputError, PodmetaError

if TYPE_CHECKING:
    from podmeta.storage.published_run import PublishedRun

_USAGE = """\
podmeta train experiment=NAME [GROUP=CHOICE ...] [KEY=VALUE ...] [--multirun [--trials N] [--jobs N]]
       podmeta train experiment=NAME [GROUP=CHOICE ...] [KEY=VALUE ...] --cfg job
       podmeta train experiment=NAME [GROUP=CHOICE ...] [KEY=VALUE ...] --dry-run
       podmeta train run_dir=DIR [--trust]"""

_DESCRIPTION = """\
Meta-trains a job, then meta-tests it.

Keys are Hydra overrides: outer.learning_rate=0.01 environment.num_arms=10 devices.cpu=4 run_dir=my_run
The same command with the same run_dir resumes the run. So does run_dir=DIR alone, with the config of the run."""


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "train",
        usage=_USAGE,
        help="meta-train, then meta-test",
        description=_DESCRIPTION,
        more=_choices,
        takes_config=True,
    )
    parser.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="sweep values with commas: outer.learning_rate=0.01,0.03 seed=0,1,2 are six runs",
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="leave the values of a sweep to Optuna's sampler, which tries N of them: "
        "outer.learning_rate=tag(log,interval(0.001,0.1)) evaluation.every_updates=50",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs of a sweep at once, each on its share of the cores and GPUs; their output goes to files",
    )
    parser.add_argument("-c", "--cfg", choices=("job",), help="print the composed job as YAML, and train nothing")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="build and compile the job, print what it would train and need, and train nothing",
    )
    add_config_dir(parser)
    add_trust(parser, "resume somebody else's run_dir=DIR, whose config names code such as environment.factory")
    parser.set_defaults(run=train)


def train(call: Call) -> None:
    """Trains what the words describe.

    Raises:
      InputError: a word is wrong, or the job does not fit the machine.
      PodmetaError: it failed while running.
    """
    if call.flags.multirun and (call.flags.cfg or call.flags.dry_run):
        flag = "--cfg job" if call.flags.cfg else "--dry-run"
        raise InputError(f"{flag} is for one job: leave out --multirun, and give every key one value")
    if call.flags.jobs < 1 or (call.flags.jobs > 1 and not call.flags.multirun):
        raise InputError(f"--jobs {call.flags.jobs}: give at least 1, and more only with --multirun")
    if call.flags.trials is not None and (call.flags.trials < 1 or not call.flags.multirun):
        raise InputError(f"--trials {call.flags.trials}: give at least 1, and only with --multirun")
    if call.flags.cfg:
        _print_job(call)
    elif call.flags.dry_run:
        _dry_run(call)
    elif call.flags.trials is not None:
        _search(call)
    elif call.flags.multirun:
        _sweep(call)
    else:
        _train(call)


def _make_job(call: Call) -> JobConfig:
    """The job that the words describe; for `run_dir=` alone, the job of the run there, which is resumed."""
    from podmeta.config.compose import compose_job

    run_dir = _run_alone(call.words)
    if run_dir is None:
        return compose_job(call.words)
    from podmeta.config.run_config import parse_run_config
    from podmeta.storage.trust import read_run

    run_path = run_to_read("run_dir", run_dir)
    if not os.path.lexists(run_path / "config.yaml"):
        from podmeta.config.paths import to_paste

        raise InputError(
            f"{run_path} holds no run to resume: it has no config.yaml. To start one: podmeta train "
            f"experiment=NAME {to_paste('run_dir', run_path)}"
        )
    run = read_run(run_path, call.words, call.flags.trust)
    run.check_whole()
    if run.is_trusted:  # as many CPU devices as before, or θ would not be the same to the last bit
        devices = parse_run_config(run.written, str(run_path / "config.yaml")).get("devices")
        if isinstance(devices, dict) and "cpu" in devices:
            run = read_run(run_path, [f"devices.cpu={devices['cpu']}", *call.words], call.flags.trust)
    return dataclasses.replace(run.job, resume="auto")


def _run_alone(words: list[str]) -> str | None:
    """The run directory, or its address in an object store, where the words say nothing of the job but that, and the
    machine that it is to run on.
    """
    from podmeta.config.compose import MACHINE_KEYS
    from podmeta.config.paths import split_paths

    keys = {word.partition("=")[0].partition(".")[0] for word in words}
    if "run_dir" not in keys or not keys <= {"run_dir", *MACHINE_KEYS}:
        return None
    _, paths = split_paths(words)
    return str(paths["run_dir"]) if paths.get("run_dir") else None


def _print_job(call: Call) -> None:
    from podmeta.config.compose import job_to_yaml

    print(job_to_yaml(_make_job(call)), end="")


def _train(call: Call) -> None:
    from podmeta.distributed.set_up import set_up

    job = _make_job(call)
    set_up(job, call.warn)
    from podmeta.environments.kinds import with_known_kinds
    from podmeta.training.published import published_run

    job = with_known_kinds(job, call.words)
    with published_run(job.run_dir, call.tell) as published:
        _train_and_test(call, job, published)


def _train_and_test(call: Call, job: JobConfig, published: "PublishedRun | None") -> None:
    from podmeta.config.paths import to_paste
    from podmeta.config.suites import experiment_suite
    from podmeta.config.swaps import swap_notes
    from podmeta.distributed.processes import is_first
    from podmeta.evaluation.done import is_tested
    from podmeta.evaluation.film import make_periodic_film
    from podmeta.evaluation.logged_results import log_results
    from podmeta.evaluation.periodic import make_periodic_test
    from podmeta.evaluation.run import check_files, check_settings, evaluate_run
    from podmeta.training.build import meta_params_shapes
    from podmeta.training.header import header_lines
    from podmeta.training.loop import train as train_job

    meta_params = meta_params_shapes(job)
    if is_first():
        for line in (*header_lines(job, meta_params), *swap_notes(call.words)):
            call.tell(line)
    if job.evaluation.enabled:
        check_settings(job, meta_params)
        if job.run_dir:
            check_files(published.path if published else Path(job.run_dir), call.warn)
    test, film = make_periodic_test(job), make_periodic_film(job)
    result = train_job(job, call.tell, call.began, test, film, published)
    named = published.address if published else result.run_path
    if result.stopped_by is not None:
        call.tell(
            f"stopped by {result.stopped_by} at update {result.update} of {job.num_updates}; a checkpoint is saved. "
            f"To resume: {_go_on(named, call.words, config_dir_flags(call.flags))}"
        )
    elif job.evaluation.enabled and is_first():
        test_again = f"podmeta evaluate {to_paste('run', named)}"
        if is_tested(job, result.run_path):
            call.tell(
                f"nothing left to test: the meta-test of this θ is in {result.run_path / 'evaluation.jsonl'}; "
                f"{test_again} repeats it"
            )
        else:
            call.interruption.advice = (
                f"θ and what the meta-test has measured so far are in {result.run_path}; to resume: {test_again}"
            )
            suite, run_path = experiment_suite(job), result.run_path
            rows = evaluate_run(job, suite, result.meta_params, result.update, run_path, PlainConsole())
            log_results(job, suite, result.meta_params, run_path, rows, call.warn)
    if result.stopped_by is None and is_first():
        has_best = 0 < job.evaluation.every_updates <= result.update
        _tell_next(call, named, f"{result.run_path.name}.npz", has_best)


def _tell_next(call: Call, named: Path | str, target: str, has_best: bool) -> None:
    """Shows what one does with a trained run."""
    from podmeta.config.paths import to_paste

    run = to_paste("run", named)
    for command in (
        f"evaluate {run} suite=in_distribution",
        *([f"evaluate {run} checkpoint=best"] if has_best else []),
        f"report {run} to=report.html",
        f"export {run} {to_paste('to', target)}",
    ):
        call.tell(f"next: podmeta {command}")


def _go_on(named: Path | str, words: list[str], flags: Sequence[str] = ()) -> str:
    """The command that resumes a run, on as many devices as its words chose."""
    from podmeta.config.paths import path_override

    devices = [word for word in words if word.startswith("devices.")]
    return shlex.join(["podmeta", "train", path_override("run_dir", named), *devices, *flags])


def _dry_run(call: Call) -> None:
    from podmeta.distributed.set_up import set_up

    job = _make_job(call)
    set_up(job, call.warn)
    from podmeta.environments.kinds import with_known_kinds
    from podmeta.evaluation.run import check_settings
    from podmeta.planning.dry_run import dry_run
    from podmeta.planning.report import dry_run_as_table
    from podmeta.training.build import meta_params_shapes

    job = with_known_kinds(job, call.words)
    if job.evaluation.enabled:
        check_settings(job, meta_params_shapes(job))
    PlainConsole().print(dry_run_as_table(dry_run(job, call.tell)))
    call.tell("nothing was trained, and no run directory was made")


def _sweep(call: Call) -> None:
    from podmeta.sweep import plan_sweep, run_sweep, sweep_table

    runs = plan_sweep(call.words)
    base = runs[0].run_path.parent
    again = _again(call, base)
    call.interruption.advice = f"what its runs have saved is in {base}; to resume: {again}"
    try:
        stopped = run_sweep(runs, call.tell, config_dir_flags(call.flags), call.flags.jobs)
    except KeyboardInterrupt:
        call.tell(f"interrupted: {call.interruption.advice}")
        raise
    table, notes = sweep_table(runs, call.warn)
    PlainConsole().print(table)
    for note in notes:
        call.warn(note)
    if stopped is not None:
        call.tell(f"stopped by {stopped}: to resume: {again}")
    elif any(not run.is_done() for run in runs):
        raise PodmetaError(f"not every run reached its end; to try those again: {again}")


def _search(call: Call) -> None:
    from podmeta.trials import Trials, trials_table

    with contextlib.closing(Trials(call.words, call.flags.trials, call.tell)) as trials:
        again = _again(call, trials.base)
        call.interruption.advice = f"what its runs have saved is in {trials.base}; to resume: {again}"
        try:
            stopped = trials.run(config_dir_flags(call.flags), call.flags.jobs)
        except KeyboardInterrupt:
            call.tell(f"interrupted: {call.interruption.advice}")
            raise
        PlainConsole().print(trials_table(trials))
        if stopped is not None:
            call.tell(f"stopped by {stopped}: to resume: {again}")
        elif not trials.is_done():
            raise PodmetaError(f"not every trial came to an end; to go on with those: {again}")
        elif all(row.state != "complete" for row in trials.rows()):
            raise PodmetaError(f"no trial reached its end; the files {trials.base}/*.log say why")


def _again(call: Call, base: Path) -> str:
    """The command that resumes a sweep in a folder."""
    from podmeta.config.paths import to_paste

    names_folder = any(word.startswith("run_dir=") for word in call.words)
    return call.again if names_folder else f"{call.again} {to_paste('run_dir', base)}"


def _choices() -> str:
    """All experiments and the choices of all groups, for the help."""
    from podmeta.config.presets import list_options
    from podmeta.config.schema import GROUPS

    return "".join(listing(f"{group}=", list_options(group)) for group in ("experiment", *GROUPS))
