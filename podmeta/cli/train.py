"""`podmeta train`: meta-trains a job, or a sweep of jobs, then meta-tests it."""

from pathlib import Path

from podmeta.cli.arguments import Call, Commands
from podmeta.cli.console import PlainConsole
from podmeta.errors import PodmetaError

_DESCRIPTION = """\
Meta-trains a job, then meta-tests it.

Keys are Hydra overrides: outer.learning_rate=0.01 environment.num_arms=10 devices.cpu=4 run_dir=my_run
The same command with the same run_dir goes on where the run stopped."""


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "train",
        usage="podmeta train experiment=NAME [GROUP=CHOICE ...] [KEY=VALUE ...] [--multirun]",
        help="meta-train, then meta-test",
        description=_DESCRIPTION,
        more=_choices,
    )
    parser.add_argument(
        "--multirun",
        action="store_true",
        help="sweep values with commas: outer.learning_rate=0.01,0.03 seed=0,1,2 are six runs",
    )
    parser.set_defaults(run=train)


def train(call: Call) -> None:
    """Trains what the words describe.

    Raises:
      InputError: a word is wrong, or the job does not fit the machine.
      PodmetaError: it failed while running.
    """
    if call.flags.multirun:
        _sweep(call)
    else:
        _train(call)


def _train(call: Call) -> None:
    from podmeta.cli.devices import set_up
    from podmeta.config.compose import compose_job
    from podmeta.config.paths import to_paste
    from podmeta.config.suites import experiment_suite

    job = compose_job(call.words)
    set_up(job, call)
    from podmeta.distributed.processes import is_first
    from podmeta.evaluation.done import is_tested
    from podmeta.evaluation.run import check_files, check_settings, evaluate_run
    from podmeta.training.loop import train as train_job

    if job.evaluation.enabled:
        check_settings(job)
        if job.run_dir:
            check_files(Path(job.run_dir), call.warn)
    result = train_job(job, call.tell)
    if result.stopped_by is not None:
        call.tell(
            f"stopped by {result.stopped_by} at update {result.update} of {job.num_updates}; a checkpoint is saved: "
            f"to go on, give the same command with {to_paste('run_dir', result.run_path)}"
        )
    elif job.evaluation.enabled and is_first():
        test_again = f"podmeta evaluate {to_paste('run', result.run_path)}"
        if is_tested(job, result.run_path):
            call.tell(
                f"nothing left to test: the meta-test of this θ is in {result.run_path / 'evaluation.jsonl'}; "
                f"{test_again} repeats it"
            )
            return
        call.interruption.advice = (
            f"θ and what the meta-test has measured so far are in {result.run_path}; to go on: {test_again}"
        )
        evaluate_run(job, experiment_suite(job), result.meta_params, result.update, result.run_path, PlainConsole())


def _sweep(call: Call) -> None:
    from podmeta.config.paths import to_paste
    from podmeta.sweep import plan_sweep, run_sweep, sweep_table

    runs = plan_sweep(call.words)
    base = runs[0].run_path.parent
    resume = to_paste("run_dir", base)
    call.interruption.advice = f"what its runs have saved is in {base}; to go on, give the same command with {resume}"
    try:
        stopped = run_sweep(runs, call.tell)
    except KeyboardInterrupt:
        call.tell(f"interrupted: {call.interruption.advice}")
        raise
    table, notes = sweep_table(runs, call.warn)
    PlainConsole().print(table)
    for note in notes:
        call.warn(note)
    if stopped is not None:
        call.tell(f"stopped by {stopped}: to go on, give the same command with {resume}")
    elif any(not run.is_done() for run in runs):
        raise PodmetaError(f"not every run reached its end: the same command with {resume} tries those again")


def _choices() -> str:
    """All experiments and the choices of all groups, for the help."""
    from podmeta.config.presets import list_options
    from podmeta.config.schema import GROUPS

    lines: list[str] = []
    for group in ("experiment", *GROUPS):
        options = list_options(group)
        width = max(map(len, options))
        lines += ["", f"{group}="]
        lines += [f"  {name.ljust(width)}  {description}" for name, description in options.items()]
    return "\n".join(lines) + "\n"
