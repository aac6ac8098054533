"""Submits a job to SLURM: one process per node, or per task of a node. Needs the extra `slurm` (submitit).

    python launch/slurm.py --nodes 4 --partition gpu --gpus-per-node 8 experiment=bandit
    python launch/slurm.py --partition gpu experiment=bandit seed=0,1,2 --multirun

All other arguments go to `podmeta train`. When SLURM preempts the job, or its time is up, it saves a checkpoint,
returns to the queue, and resumes from there. The account comes from SBATCH_ACCOUNT, if it is set.
"""

import argparse
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import submitit

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.paths import check_local, path_override
from podmeta.config.sweeps import expand_sweep
from podmeta.distributed.children import Lifeline
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError
from podmeta.storage.run_directory import check_config, make_run_path
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode


class Training:
    """One process of the job, as submitit runs it on a node.

    podmeta is a process of its own below it, so that it can save when submitit's signal handler asks for that.
    """

    def __init__(self, overrides: list[str]) -> None:
        self.overrides = overrides
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Trains; returns podmeta's exit code, and raises where it is not 0, so that SLURM calls the job failed."""
        # SLURM sends submitit's signal to every process of the job, and podmeta would end at it without a checkpoint.
        with Lifeline() as lifeline:
            self._process = lifeline.start(
                [sys.executable, "-u", "-m", "podmeta", "train", *self.overrides],
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
        return submitit.helpers.DelayedSubmission(Training(self.overrides))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process, once it has one. A signal handler may wait too, which `Popen.wait` would not bear."""
    while (code := process.poll()) is None:
        time.sleep(0.2)
    return code


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
    options, overrides = parser.parse_known_args(arguments)
    try:
        jobs = with_run_dirs(_jobs(overrides, options.multirun))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
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
    for overrides in jobs:
        submitted = executor.submit(Training(overrides))
        print(f"{submitted.job_id} {shlex.quote(overrides[-1])}", flush=True)
    return 0


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
