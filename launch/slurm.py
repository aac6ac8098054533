"""Submits a job to SLURM: one process per node, or per task of a node. Needs the extra `slurm` (submitit).

    python launch/slurm.py --nodes 4 --partition gpu --gpus-per-node 8 experiment=bandit
    python launch/slurm.py --partition gpu experiment=bandit seed=0,1,2 --multirun
    python launch/slurm.py --partition gpu experiment=bandit outer.learning_rate=interval(0.001,0.1) \
        evaluation.every_updates=50 --multirun --trials 30 --jobs 4

All other arguments go to `podmeta train`. When SLURM preempts the job, or its time is up, it saves a checkpoint,
returns to the queue, and resumes from there. The account comes from SBATCH_ACCOUNT, if it is set.

With --trials, this process stays: it has Optuna choose the values of every job from those that have ended.
"""

import argparse
import contextlib
import functools
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import submitit

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.paths import check_local, path_override
from podmeta.config.sweeps import expand_sweep
from podmeta.distributed.children import ChildCommand, Lifeline
from podmeta.distributed.signals import Interruption, SignalWatch
from podmeta.errors import InputError
from podmeta.operating_system import STOP_SIGNALS
from podmeta.storage.files import open_to_append
from podmeta.storage.run_directory import check_config, make_run_path
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode

_SECONDS_BETWEEN_LOOKS = 0.2


class Training:
    """One process of the job, as submitit runs it on a node.

    podmeta is a process of its own below it, so that it can save when submitit's signal handler asks for that.
    """

    def __init__(self, words: Sequence[str], log_path: Path | None = None) -> None:
        """Notes what to run.

        Args:
          words: the command.
          log_path: the file to which its output is appended; None: submitit's own.
        """
        self.words = words
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Trains; returns podmeta's exit code, and raises where it is not 0, so that SLURM calls the job failed."""
        # SLURM sends submitit's signal to every process of the job, and podmeta would end at it without a checkpoint.
        with contextlib.ExitStack() as stack:
            lifeline = stack.enter_context(Lifeline())
            log = stack.enter_context(open_to_append(self._log_path)) if self._log_path else None
            self._process = lifeline.start(
                self.words,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
            )
            code = _wait(self._process)
        if code != 0:
            raise RuntimeError(f"podmeta train ended with exit code {code}")
        return code

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit calls before the nodes are taken away: lets podmeta save, and submits the same again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            _wait(self._process)
        return submitit.helpers.DelayedSubmission(Training(self.words, self._log_path))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process, once it has one. A signal handler may wait too, which `Popen.wait` would not bear."""
    while (code := process.poll()) is None:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return code


def run_submitted(
    executor: submitit.Executor,
    commands: Iterable[ChildCommand],
    num_at_once: int,
    began: Callable[[int], None],
    ended: Callable[[int, int], None],
    ends_now: Callable[[int], bool],
) -> str | None:
    """Runs podmeta commands as `podmeta.distributed.children.run_children` does, each as a job of submitit.

    A job that is to end is cancelled: SLURM sends it a SIGTERM. After a signal to this process, all are. A job that was
    cancelled counts as one that has been stopped, with exit code 0.
    """
    received: list[str] = []
    cancelled: set[int] = set()
    waiting, has_more = enumerate(commands), True
    at_work: dict[int, submitit.Job[int]] = {}
    with SignalWatch(STOP_SIGNALS, lambda number: received.append(signal.Signals(number).name)):
        while at_work or (has_more and not received):
            while len(at_work) < num_at_once and has_more and not received:
                following = next(waiting, None)
                has_more = following is not None
                if following is not None and not received:
                    index, command = following
                    command.log_path.touch()  # also if the job never starts
                    at_work[index] = executor.submit(Training(command.words, command.log_path.absolute()))
                    began(index)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            for index, job in list(at_work.items()):
                if job.done():
                    del at_work[index]
                    ended(index, 0 if index in cancelled else _exit_code(job))
                elif index not in cancelled and (received or ends_now(index)):
                    cancelled.add(index)
                    job.cancel(check=False)
    return received[0] if received else None


def _exit_code(job: "submitit.Job[int]") -> int:
    try:
        return job.result()
    except Exception:  # whatever the job has raised, or that submitit does not know what became of it
        return 1


def main(arguments: list[str] | None = None) -> int:
    """Submits the job, or every job of a sweep; prints their ids and run directories."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--tasks-per-node", type=int, default=1, help="processes on each node")
    parser.add_argument("--partition", help="SLURM's partition; by default its own default")
    parser.add_argument("--gpus-per-node", type=int)
    parser.add_argument("--cpus-per-task", type=int)
    parser.add_argument("--minutes", type=int, default=60, help="after which the job saves and is queued again")
    parser.add_argument("--seconds-to-save", type=int, default=90, help="that are left for this before the time is up")
    parser.add_argument("--logs", default="slurm_logs", help="where submitit keeps the jobs and what they print")
    parser.add_argument("--cluster", default="slurm", choices=("slurm", "local"), help="local: try it without SLURM")
    parser.add_argument("--multirun", action="store_true", help="one job for each combination of the values swept")
    parser.add_argument("--trials", type=int, help="with --multirun: the values of so many jobs are Optuna's choice")
    parser.add_argument("--jobs", type=int, default=1, help="with --trials: so many jobs at once")
    options, overrides = parser.parse_known_args(arguments)
    try:
        if options.trials is not None:
            return _search(options, overrides)
        jobs = with_run_dirs(_jobs(overrides, options.multirun))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    executor = _executor(options)
    for overrides in jobs:
        submitted = executor.submit(Training([sys.executable, "-u", "-m", "podmeta", "train", *overrides]))
        print(f"{submitted.job_id} {shlex.quote(overrides[-1])}", flush=True)
    return 0


def _search(options: argparse.Namespace, overrides: list[str]) -> int:
    """Runs the trials of a sweep; prints their table, and how to go on if there are any left.

    Raises:
      InputError: an argument is wrong, or see `Trials`.
    """
    from podmeta.cli.console import PlainConsole
    from podmeta.trials import Trials, trials_table

    if not options.multirun or options.trials < 1 or options.jobs < 1:
        raise InputError(f"--trials {options.trials} --jobs {options.jobs}: give at least 1, and only with --multirun")
    with contextlib.closing(Trials(overrides, options.trials, functools.partial(print, flush=True))) as trials:
        stopped = trials.run((), options.jobs, functools.partial(run_submitted, _executor(options)))
        PlainConsole().print(trials_table(trials))
        if not trials.is_done():
            print(f"to go on, repeat the command with {path_override('run_dir', trials.base)}", file=sys.stderr)
        return 0 if trials.is_done() or stopped else 1


def _executor(options: argparse.Namespace) -> submitit.Executor:
    # submitit would give up after three times that the time was up.
    executor = submitit.AutoExecutor(
        folder=f"{options.logs}/%j", cluster=options.cluster, slurm_max_num_timeout=1_000_000
    )
    executor.update_parameters(
        name="podmeta",
        nodes=options.nodes,
        tasks_per_node=options.tasks_per_node,
        timeout_min=options.minutes,
        slurm_signal_delay_s=options.seconds_to_save,
        **_given(
            slurm_partition=options.partition, gpus_per_node=options.gpus_per_node, cpus_per_task=options.cpus_per_task
        ),
    )
    return executor


def with_run_dirs(jobs: list[list[str]]) -> list[list[str]]:
    """The overrides of every job with its run directory last, which must be the same whenever it starts again.

    The n-th is in the folder n of `run_dir`, or of runs/<experiment_name>/<time>, which is made.

    Raises:
      InputError: a job is invalid, or its directory holds a run with another config, or `run_dir` is remote.
    """
    composed = [compose_job(overrides) for overrides in jobs]
    run_dir, experiment_name = composed[0].run_dir, composed[0].experiment_name
    base = (Path(check_local("run_dir", run_dir)) if run_dir else make_run_path(experiment_name)).absolute()
    for number, job in enumerate(composed):
        check_config(base / str(number), job_to_yaml(job))
    return [
        [
            *(override for override in overrides if not override.startswith("run_dir=")),
            path_override("run_dir", base / str(number)),
        ]
        for number, overrides in enumerate(jobs)
    ]


def _jobs(overrides: list[str], multirun: bool) -> list[list[str]]:
    return expand_sweep(overrides) if multirun else [overrides]


def _given(**parameters: str | int | None) -> dict[str, str | int]:
    """Those of submitit's parameters that the user has set."""
    return {name: value for name, value in parameters.items() if value is not None}


if __name__ == "__main__":
    restart_in_utf8_mode()
    Interruption("only the jobs named above were submitted").watch()
    protect_streams()
    sys.exit(main())
