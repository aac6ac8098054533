"""The records of a job in its run directory and on the terminal. Only the first of several processes makes them."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from podmeta.architectures.base import TrainingState
from podmeta.config.compose import job_to_yaml
from podmeta.config.schema import CheckpointConfig, JobConfig
from podmeta.distributed.devices import describe_devices
from podmeta.errors import InputError, PodmetaError
from podmeta.keys import GENERATOR, describe_generator
from podmeta.learners.base import MetaParams
from podmeta.storage.checkpoint_files import CheckpointMetadata
from podmeta.storage.checkpoints import Checkpoints
from podmeta.storage.files import reason, write_atomically
from podmeta.storage.json_files import encode
from podmeta.storage.provenance import describe_provenance, read_provenance
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import Summary, read_summary
from podmeta.storage.wall_clock import FAILED, FINISHED, INTERRUPTED
from podmeta.training.best import BestMetaParams, restore_best
from podmeta.training.build import state_shapes
from podmeta.training.checkpoint_writer import CheckpointWriter, Snapshot
from podmeta.training.heartbeat import HeartbeatWriter
from podmeta.training.metrics import MetricsWriter
from podmeta.training.progress import ProgressDisplay, show_progress
from podmeta.training.prometheus import PrometheusEndpoint
from podmeta.training.wall_clock import WallClock
from podmeta.value_types import Json

Row = Mapping[str, Json]  # one line of metrics.jsonl


class Progress(NamedTuple):
    """The progress of a job.

    Attributes:
      update: updates done.
      seconds: time spent training, over all starts of the job, compilation left out.
    """

    update: int
    seconds: float


@runtime_checkable
class Records(Protocol):
    """Writes and shows the progress of a job."""

    def begin(self) -> None:
        """Notes that the job is built, and that its first update comes next."""

    def spend(self, activity: str, seconds: float) -> None:
        """Notes what seconds that have just passed went into; see `podmeta.storage.wall_clock.ACTIVITIES`."""

    def note(self, rows: Sequence[Row], progress: Progress, fitness: float, rate: float) -> None:
        """Writes rows, and shows how far the job is: its newest fitness, and env steps/s."""

    def note_test(self, update: int, tested: Row, meta_params: MetaParams, counts: bool) -> None:
        """Notes a meta-test during training; see `BestMetaParams.note`."""

    def note_videos(self, update: int, videos: Mapping[str, bytes]) -> None:
        """Notes animated GIFs, by tag, of θ after an update."""

    def reason_to_stop(self) -> str:
        """Why the job stops early, in words; "" if it does not."""

    def due(self, progress: Progress) -> bool:
        """Whether it is time for a checkpoint."""

    def save(self, state: TrainingState, progress: Progress, in_background: bool = False) -> None:
        """Saves a checkpoint, unless this update is saved already. In the background, it may come to the disk later."""

    def finish(self, summary: Summary) -> None:
        """Writes the summary of a job that has come to its end."""

    def interrupt(self, signal_name: str) -> None:
        """Notes that a signal has stopped the job before its end."""


class NoRecords:
    """The `Records` of every process but the first."""

    def begin(self) -> None:
        """The first process keeps account of time."""

    def spend(self, activity: str, seconds: float) -> None:
        """The first process keeps account of time."""

    def note(self, rows: Sequence[Row], progress: Progress, fitness: float, rate: float) -> None:
        """Nothing is written or shown."""

    def note_test(self, update: int, tested: Row, meta_params: MetaParams, counts: bool) -> None:
        """The first process keeps the best θ."""

    def note_videos(self, update: int, videos: Mapping[str, bytes]) -> None:
        """Nothing is shown."""

    def reason_to_stop(self) -> str:
        """The first process says when."""
        return ""

    def due(self, progress: Progress) -> bool:
        """The first process says when."""
        return False

    def save(self, state: TrainingState, progress: Progress, in_background: bool = False) -> None:
        """Nothing is saved."""

    def finish(self, summary: Summary) -> None:
        """Nothing is written."""

    def interrupt(self, signal_name: str) -> None:
        """Nothing is written."""


class Outlets(NamedTuple):
    """What shows the progress of a job: metrics, the terminal, the account of time and the heartbeat."""

    metrics_writer: MetricsWriter
    display: ProgressDisplay
    wall_clock: WallClock
    heartbeat: HeartbeatWriter


class RunRecords:
    """The `Records` of the first process, in a run directory that it holds."""

    def __init__(
        self,
        config: CheckpointConfig,
        run_directory: RunDirectory,
        checkpoints: Checkpoints,
        outlets: Outlets,
        best: BestMetaParams,
        progress: Progress,
        tell: Callable[[str], None],
    ) -> None:
        self._metrics_writer, self._display, self._wall_clock, self._heartbeat = outlets
        self._best = best
        self._run_directory = run_directory
        self._checkpoint_writer = CheckpointWriter(config, run_directory, checkpoints, progress.update, tell)
        self._update = progress.update
        self._seconds_of_save: dict[str, float] = {}  # of the last save, until a row of metrics tells them

    def begin(self) -> None:
        """Ends the start-up in the account of time."""
        self._wall_clock.begin()

    def spend(self, activity: str, seconds: float) -> None:
        """Adds to the account of time."""
        self._wall_clock.spend(activity, seconds)

    def note(self, rows: Sequence[Row], progress: Progress, fitness: float, rate: float) -> None:
        """Writes rows of metrics, and moves the progress bar. The first row after a save says how long it took."""
        written = self._checkpoint_writer.take_seconds()
        if written is not None:
            self._seconds_of_save["save_seconds"] = written
        for row in rows:
            self._metrics_writer.write({**row, **self._seconds_of_save})
            self._seconds_of_save = {}
        self._display.update(progress.update, fitness, rate)
        self._wall_clock.note(progress.update)
        self._heartbeat.beat(progress.update, rate)

    def note_test(self, update: int, tested: Row, meta_params: MetaParams, counts: bool) -> None:
        """Keeps θ if it is the best so far. The next checkpoint holds it."""
        self._best.note(update, tested, meta_params, counts)

    def note_videos(self, update: int, videos: Mapping[str, bytes]) -> None:
        """Writes animated GIFs, by tag."""
        self._metrics_writer.write_videos(update, videos)

    def reason_to_stop(self) -> str:
        """Why the job stops early, by its meta-tests so far."""
        return self._best.reason_to_stop()

    def due(self, progress: Progress) -> bool:
        """Whether it is time for a checkpoint; see `CheckpointWriter.due`."""
        return self._checkpoint_writer.due(progress.update)

    def save(self, state: TrainingState, progress: Progress, in_background: bool = False) -> None:
        """Saves a checkpoint, unless this update is saved already; see `CheckpointWriter.save`."""
        start = time.perf_counter()
        snapshot = Snapshot(progress.update, progress.seconds, self._best.added_to(state), self._best.record)
        saves = True  # what fails takes its time too
        try:
            saves = self._checkpoint_writer.save(snapshot, in_background)
        finally:
            if saves:
                seconds = time.perf_counter() - start
                self._seconds_of_save["save_blocked_seconds" if in_background else "save_seconds"] = seconds
                self._wall_clock.spend("save", seconds)
        self._update = progress.update
        self._wall_clock.write(progress.update)

    def finish(self, summary: Summary) -> None:
        """Writes summary.json. To one of the same θ this start has added nothing, except why the job ended there."""
        self._wall_clock.write(summary.num_updates, FINISHED)
        self._heartbeat.end(FINISHED, summary.num_updates, summary.stopped_early or "all updates are done")
        url = self._metrics_writer.wandb_url
        new = dataclasses.replace(
            summary, goodput=self._wall_clock.goodput(), wandb_url=url, meta_tests=self._best.record
        )
        with contextlib.suppress(InputError):  # a damaged one is written anew
            earlier = read_summary(self._run_directory.path)
            if earlier and _of(earlier) == _of(new):
                new = dataclasses.replace(earlier, stopped_early=new.stopped_early, meta_tests=new.meta_tests)
                if new == earlier:
                    return
        write_atomically(self._run_directory.summary_path, json.dumps(encode(new), indent=2) + "\n")

    def interrupt(self, signal_name: str) -> None:
        """Notes the end of this start, and why."""
        self._wall_clock.write(self._update, INTERRUPTED)
        self._heartbeat.end(INTERRUPTED, self._update, signal_name)

    def close(self) -> None:
        """Waits for a checkpoint that is being written."""
        self._checkpoint_writer.close()

    def fail(self, error: BaseException) -> None:
        """Notes that an error has ended this start."""
        self._wall_clock.write(self._wall_clock.update, FAILED)
        self._heartbeat.end(FAILED, self._wall_clock.update, reason(error))


@contextlib.contextmanager
def open_records(
    job: JobConfig,
    run_path: Path,
    fresh_state: TrainingState | None,
    tell: Callable[[str], None],
    began: float | None = None,
) -> Iterator[tuple[RunRecords, TrainingState, Progress]]:
    """Opens the job's run directory, and finds the state to start from.

    Args:
      job: the job.
      run_path: the run directory.
      fresh_state: what to begin with; None if there are checkpoints.
      tell: shows the user a line.
      began: when the command began, in Unix time; None: now.

    Yields:
      Its records; the newest good checkpoint's state, or the fresh one; and how far that is.

    Raises:
      InputError: the directory cannot be had, or holds another job.
      PodmetaError: every checkpoint in it is broken.
    """
    began = time.time() if began is None else began
    with RunDirectory(run_path, job_to_yaml(job)) as run_directory:
        tell(f"run directory: {run_directory.path}")
        checkpoints = Checkpoints(run_directory.checkpoints_path, job.checkpoint.keep, job.checkpoint.keep_every)
        checkpoints.recover()
        state, progress, best = _start(job, run_directory, checkpoints, fresh_state, tell)
        trains = progress.update < job.num_updates and not best.reason_to_stop()
        if trains or not run_directory.config_path.exists():
            run_directory.write_start(describe_provenance(describe_devices()))
        wall_clock = WallClock(run_directory, progress.update, began, warn=lambda line: tell(f"warning: {line}"))
        heartbeat = HeartbeatWriter(run_directory, job.num_updates, began)
        if trains:
            wall_clock.begin()
            heartbeat.begin(progress.update)
        metrics_writer = MetricsWriter(
            run_directory,
            resumed_update=progress.update,
            tensorboard=job.logging.tensorboard,
            wandb_project=job.logging.wandb_project if job.logging.wandb else None,
            prometheus=PrometheusEndpoint(job.logging) if job.logging.prometheus_port else None,
            warn=lambda line: tell(f"warning: {line}"),
        )
        with (
            contextlib.closing(metrics_writer),
            show_progress(job.num_updates, sys.stderr, job.logging.progress) as display,
        ):
            outlets = Outlets(metrics_writer, display, wall_clock, heartbeat)
            records = RunRecords(job.checkpoint, run_directory, checkpoints, outlets, best, progress, tell)
            try:
                yield records, state, progress
            except BaseException as error:
                records.fail(error)
                raise
            finally:
                records.close()


def _start(
    job: JobConfig,
    run_directory: RunDirectory,
    checkpoints: Checkpoints,
    fresh_state: TrainingState | None,
    tell: Callable[[str], None],
) -> tuple[TrainingState, Progress, BestMetaParams]:
    """The state to start from, and the best θ so far: the newest good checkpoint's, or fresh ones."""
    restored = checkpoints.restore_latest(lambda update: state_shapes(job, update))
    if restored is None:
        if fresh_state is None:
            raise PodmetaError(f"the checkpoints in {checkpoints.directory} disappeared while the job was starting")
        return fresh_state, Progress(0, 0.0), BestMetaParams(job)
    _check_generator(restored.metadata, run_directory.path)
    for warning in restored.warnings:
        tell(f"warning: {warning}")
    best = restore_best(job, checkpoints, restored.tree.outer.meta_params, tell)
    if restored.step < job.num_updates and best.reason_to_stop():
        tell(
            f"nothing left to train: update {restored.step} is done, and the job {best.reason_to_stop()}; a larger "
            "evaluation.stop_after, or 0, trains on"
        )
    elif restored.step < job.num_updates:
        tell(f"going on from update {restored.step}")
    else:
        tell(f"nothing left to train: update {restored.step} is done, and num_updates={job.num_updates}")
    return restored.tree, Progress(restored.step, restored.metadata.seconds), best


def _of(summary: Summary) -> tuple[int, str | list[str]]:
    """Which θ a summary is of."""
    return summary.num_updates, summary.meta_params_sha256


def _check_generator(metadata: CheckpointMetadata, run_path: Path) -> None:
    """Refuses to resume with a random generator other than the one the run began with."""
    began_with, now = metadata.random_generator or _generator_of_earlier_version(run_path), describe_generator()
    if began_with != now:
        raise InputError(
            f"{run_path} was trained with the random numbers of {began_with}, and these are of {now}: restore "
            "JAX's environment variables, or choose another run_dir, with init_from to keep θ"
        )


def _generator_of_earlier_version(run_path: Path) -> str:
    """The generator of a version that recorded none and took that of the surroundings."""
    try:
        return read_provenance(run_path).variables.get("JAX_DEFAULT_PRNG_IMPL", GENERATOR)
    except InputError:  # nothing is known of them
        return GENERATOR
