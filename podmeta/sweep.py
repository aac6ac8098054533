"""A sweep on this machine: its runs one after the other, each in a process and a run directory of its own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from rich.table import Table

from podmeta.config.compose import compose_job
from podmeta.config.sweeps import expand_sweep
from podmeta.errors import InputError


class SweepRun(NamedTuple):
    """One run of a sweep.

    Attributes:
      overrides: of its job, all of them.
      swept: those of its overrides in which it differs from the others.
      run_path: its run directory.
    """

    overrides: list[str]
    swept: list[str]
    run_path: Path

    def is_done(self) -> bool:
        """Whether it has reached its end, at which a run writes its summary."""
        return (self.run_path / "summary.json").exists()


def plan_sweep(overrides: list[str]) -> list[SweepRun]:
    """The runs of a sweep, all of which have been composed, so that none fails on wrong input when its turn comes.

    The n-th is in the folder n of `run_dir`, or of runs/<experiment_name>/<time>.

    Raises:
      InputError: a combination makes no sense, or `run_dir` has several values.
    """
    combinations = expand_sweep(overrides)
    jobs = [compose_job(combination) for combination in combinations]
    bases = {job.run_dir for job in jobs}
    if len(bases) > 1:
        raise InputError("run_dir of a sweep is one folder, in which each run gets its own: give one value")
    base = Path(bases.pop() or f"runs/{jobs[0].experiment_name}/{time.strftime('%Y-%m-%d_%H-%M-%S')}")
    shared = set.intersection(*map(set, combinations))
    return [
        SweepRun(
            overrides=[override for override in combination if not override.startswith("run_dir=")],
            swept=[override for override in combination if override not in shared],
            run_path=base / str(number),
        )
        for number, combination in enumerate(combinations)
    ]


def run_sweep(runs: list[SweepRun], tell: Callable[[str], None]) -> str | None:
    """Trains what is not done yet. A run that fails does not keep the others from theirs.

    Returns:
      The name of the signal that has stopped the sweep, which the run under way has heeded; or None.

    Raises:
      KeyboardInterrupt: it was interrupted twice.
    """
    for number, run in enumerate(runs):
        if run.is_done():
            continue
        tell(f"run {number + 1} of {len(runs)}: {' '.join(run.swept)}")
        code, stopped = _run([*run.overrides, f"run_dir={run.run_path}"])
        if stopped is not None:
            if code == 130:
                raise KeyboardInterrupt
            return stopped
        if code != 0:
            tell(f"run {number + 1} ended with exit code {code}")
    return None


def sweep_table(runs: list[SweepRun]) -> Table:
    """What every run has reached: its last mean fitness, and the first line of its meta-test."""
    table = Table(title=str(runs[0].run_path.parent))
    for heading in ("run", "swept", "updates", "fitness", "meta-test"):
        table.add_column(heading, justify="left" if heading == "swept" else "right")
    for run in runs:
        trained = _last_line(run.run_path / "metrics.jsonl")
        tested = next(_learner_rows(run.run_path / "evaluation.jsonl"), None)
        table.add_row(
            run.run_path.name,
            " ".join(run.swept),
            str(trained["update"]) if trained else "",
            _short(trained["fitness_mean"]) if trained else "",
            f"{tested['metric']} {_short(tested['mean'])}" if tested else "",
        )
    return table


def _run(arguments: list[str]) -> tuple[int, str | None]:
    """Trains in a process of its own; returns its exit code, and the signal that came meanwhile, if one did.

    The terminal sends Ctrl-C to that process as well, but whoever sends SIGTERM means this one, so it is passed on.
    """
    signals: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        signals.append(signal.Signals(number).name)
        if number == signal.SIGTERM:
            process.send_signal(number)

    process = subprocess.Popen([sys.executable, "-m", "podmeta.cli", "train", *arguments])
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code, signals[0] if signals else None


def _last_line(path: Path) -> dict[str, Any] | None:
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else None


def _learner_rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines() if path.exists() else ():
        row = json.loads(line)
        if row["algorithm"] == "learner":
            yield row


def _short(value: float | list[float]) -> str:
    """A number, or one for each instance."""
    return ", ".join(f"{each:.4g}" for each in (value if isinstance(value, list) else [value]))
