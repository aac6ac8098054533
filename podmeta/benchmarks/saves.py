"""`podmeta bench saves`: what checkpoints of a large state cost a job, written in the background or waited for.

Training with and without saves takes turns in one process, because a machine that others use too is faster at one time
than at another. A turn with saves begins with one, and ends when it is written.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax

from podmeta.architectures.session import Session
from podmeta.benchmarks.measure import report
from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.schema import CheckpointConfig, JobConfig
from podmeta.config.stages import stages_of
from podmeta.distributed.devices import set_up_devices
from podmeta.storage.checkpoints import Checkpoints
from podmeta.storage.run_directory import RunDirectory
from podmeta.training.build import build_programs, instance_settings
from podmeta.training.checkpoint_writer import CheckpointWriter, Snapshot
from podmeta.training.sessions import open_session

SECONDS = 10.0
TURNS = 10
LARGE = [
    "experiment=bandit",
    "environment.lifetime_length=10",
    "learner=recurrent",
    "learner.hidden_size=1450",
    "outer.noise_rank=1",
    "outer.population_size=8",
    "outer.lifetimes_per_member=1",
]
"""θ and the optimiser's two moments take 100 MB."""


class Rates(NamedTuple):
    """Updates per second of a turn: without saves, with one in the background, and with one that is waited for."""

    without: float
    in_background: float
    waited_for: float


def bench_saves() -> None:
    """Measures a state of 100 MB that is saved every 10 s."""
    job = compose_job(LARGE)
    set_up_devices(job.devices.cpu)
    with tempfile.TemporaryDirectory() as folder:
        measure(job, Path(folder), SECONDS, TURNS)


def measure(job: JobConfig, folder: Path, seconds: float, turns: int) -> None:
    """Trains a job in turns, each with no save, one in the background, and one that is waited for.

    Args:
      job: the job, of one stage.
      folder: where the checkpoints are written.
      seconds: between two saves.
      turns: how often.
    """
    program = build_programs(job, jax.local_device_count())[0]
    state = jax.device_get(jax.jit(program.init)(instance_settings(job)))
    session = open_session(job, stages_of(job)[0], program, state)
    config = CheckpointConfig(every_updates=0, every_seconds=0.0, asynchronous=True, keep=1)
    num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    setting = {"megabytes": round(num_bytes / 1e6, 1), "seconds_between": seconds, "devices": jax.local_device_count()}
    try:
        with RunDirectory(folder / "run", job_to_yaml(job)) as run_directory:
            checkpoints = Checkpoints(run_directory.checkpoints_path, keep=1)
            writer = CheckpointWriter(config, run_directory, checkpoints, 0, lambda line: None)
            done = _Done(session, writer)
            done.train(0.0)  # compiles
            done.save(in_background=False)  # the first one is read back
            rates = [done.turn(seconds) for _ in range(turns)]
    finally:
        session.close()
    for name, ratios in (
        ("in_background", [turn.in_background / turn.without for turn in rates]),
        ("waited_for", [turn.waited_for / turn.without for turn in rates]),
    ):
        report(f"throughput_with_saves_{name}_speedup", setting, statistics.median(ratios), "1")
        report(f"throughput_with_saves_{name}_lowest_speedup", setting, min(ratios), "1")
        report(f"throughput_with_saves_{name}_highest_speedup", setting, max(ratios), "1")
    report("updates_per_second_without_saves", setting, statistics.median(turn.without for turn in rates), "1/s")
    report("save_blocked", setting, statistics.median(done.blocked_seconds), "s")
    report("save_in_background", setting, statistics.median(done.written_seconds), "s")


class _Done:
    """A training under way."""

    def __init__(self, session: Session, writer: CheckpointWriter) -> None:
        self._session, self._writer, self._update = session, writer, 0
        self.blocked_seconds: list[float] = []
        self.written_seconds: list[float] = []

    def train(self, seconds: float) -> None:
        """Trains for some seconds, at least one update."""
        end = time.perf_counter() + seconds
        while True:
            self._update += self._session.advance(1, lambda: False).num_updates
            if time.perf_counter() >= end:
                return

    def save(self, in_background: bool) -> None:
        """Saves a checkpoint."""
        self._writer.save(Snapshot(self._update, 0.0, self._session.state(), None), in_background)

    def turn(self, seconds: float) -> Rates:
        """Trains for three times so long."""
        return Rates(*self._rates(seconds))

    def _rates(self, seconds: float) -> Iterator[float]:
        for saves, in_background in ((False, False), (True, True), (True, False)):
            first, start = self._update, time.perf_counter()
            if saves:
                self.save(in_background)
            blocked = time.perf_counter() - start
            self.train(seconds - blocked)
            self._writer.close()
            yield (self._update - first) / (time.perf_counter() - start)
            written = self._writer.take_seconds()
            if written is not None:
                self.blocked_seconds.append(blocked)
                self.written_seconds.append(written)
