"""The job of the end-to-end tests, and what starts it."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
NUM_UPDATES = 144
UPDATES_PER_CALL = 4
UPDATES_PER_CHECKPOINT = 12

# σ is large, for actions must differ within so short a lifetime, or θ would not change at all.
TINY = (
    "experiment=bandit",
    "outer.population_size=8",
    "outer.lifetimes_per_member=1",
    "outer.noise_std=1",
    "outer.learning_rate_schedule.name=constant",  # a schedule over num_updates changes with their number
    "environment.lifetime_length=10",
    "learner.hidden_size=4",
    f"architecture.updates_per_call={UPDATES_PER_CALL}",
    f"logging.every_updates={UPDATES_PER_CALL}",
    f"checkpoint.every_updates={UPDATES_PER_CHECKPOINT}",
    "evaluation.num_tasks=8",
)
"""Overrides that make a job of seconds. All jobs of these share their compiled programs."""

JOB = (*TINY, f"num_updates={NUM_UPDATES}", "evaluation.enabled=false")

OFTEN = f"checkpoint.every_updates={UPDATES_PER_CALL}"
"""Has the job take long enough not to end before something is done to it."""

TIMEOUT_S = 300


class Command:
    """The `podmeta` command in one folder, with no environment variables but these."""

    def __init__(
        self, variables: dict[str, str], folder: Path, program: Sequence[str] = (sys.executable, "-m", "podmeta")
    ) -> None:
        self.variables = variables
        self.folder = folder
        self.program = program
        self._started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        process = self.start(*arguments, **variables)
        output, errors = process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def succeeds(self, *arguments: str, **variables: str) -> str:
        """Runs it to its end, which must be a good one; returns all that it printed."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def fails(self, code: int, *arguments: str, **variables: str) -> str:
        """Runs it to an end with that exit code, without a traceback; returns what it said, in one line."""
        done = self.run(*arguments, **variables)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    def start(self, *arguments: str, stderr: Any = subprocess.PIPE, **variables: str) -> subprocess.Popen[str]:
        """Starts it."""
        process = subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.variables | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        """Ends whatever still runs."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


def read_until(process: subprocess.Popen[str], beginning: str) -> str:
    """Reads what the process says, up to a line that begins so, which it must say."""
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith(beginning):
            return said
    raise AssertionError(f"it never said {beginning!r}:\n{said}")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest(run_path: Path) -> str:
    """What tells the trained θ of one run from any other's, bit for bit."""
    return json.loads((run_path / "summary.json").read_text(encoding="utf-8"))["meta_params_sha256"]


def last_update(run_path: Path) -> int:
    """The last update that the metrics tell of. A kill may have left half a line after it."""
    path = run_path / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return max((json.loads(line)["update"] for line in lines if line.endswith("\n")), default=0)


def checkpoint_steps(run_path: Path) -> list[int]:
    """The updates at which the checkpoints of a run were saved."""
    return sorted(int(path.name.removeprefix("step_")) for path in (run_path / "checkpoints").glob("step_*"))
