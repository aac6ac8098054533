"""Writes the checkpoints of a job into its run directory, if asked to while training goes on.

Only a copy of the state is made before training goes on. A thread writes it as `Checkpoints.save` does: under a
temporary name until all of it is on the disk. So a kill in between loses nothing older.

A kill loses at most the work of one interval, as if training waited for every save: the next checkpoint begins early
enough to be whole when the interval since the last one is over. If it takes longer, training waits for it then.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from podmeta.architectures.base import TrainingState
from podmeta.config.paths import to_paste
from podmeta.config.schema import CheckpointConfig
from podmeta.errors import InputError, PodmetaError
from podmeta.exits import AbandonableThread
from podmeta.keys import describe_generator
from podmeta.storage.checkpoint_files import CheckpointMetadata
from podmeta.storage.checkpoints import Checkpoints, sha256_by_instance
from podmeta.storage.meta_test_record import MetaTestRecord
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import SUMMARY
from podmeta.training.best import StateWithBest


class Snapshot(NamedTuple):
    """What a checkpoint is made of.

    Attributes:
      update: updates done.
      seconds: time spent training, over all starts of the job, compilation left out.
      state: all arrays.
      meta_tests: the record of the meta-tests so far.
    """

    update: int
    seconds: float
    state: TrainingState | StateWithBest
    meta_tests: MetaTestRecord | None


class Moment(NamedTuple):
    """A moment of training, or the span between two.

    Attributes:
      update: updates done.
      seconds: without those for which training stood still to save.
    """

    update: int
    seconds: float

    def since(self, earlier: "Moment") -> "Moment":
        """The span from an earlier one."""
        return Moment(self.update - earlier.update, self.seconds - earlier.seconds)


class CheckpointWriter:
    """Writes checkpoints, one at a time."""

    def __init__(
        self,
        config: CheckpointConfig,
        run_directory: RunDirectory,
        checkpoints: Checkpoints,
        update: int,
        tell: Callable[[str], None],
    ) -> None:
        """Goes on from an update.

        Args:
          config: when to save, and how many to keep.
          run_directory: held by this process.
          checkpoints: those in it.
          update: updates done.
          tell: shows the user a line.
        """
        self._config = config
        self._run_directory = run_directory
        self._checkpoints = checkpoints
        self._tell = tell
        self._has_saved = bool(checkpoints.steps())
        self._seconds_stood_still = 0.0
        self._last = self._last_whole = self._last_look = self._now(update)
        self._thread: AbandonableThread | None = None
        self._error: BaseException | None = None  # of the thread
        self._seconds: float | None = None
        self._expected_seconds = 0.0  # of writing in the background

    def due(self, update: int) -> bool:
        """Whether `checkpoint.every_updates` or `checkpoint.every_seconds` have passed since the last whole one.

        In the background, the next one is due earlier. It is also time when the run directory is no longer where it
        was, which `save` deals with. Call it after every call to the devices.

        Raises:
          PodmetaError: the last one could not be written in the background.
        """
        if self._thread is not None and not self._thread.is_alive():
            self._wait()
        if not self._is_in_place():
            return True
        now = self._now(update)
        call, self._last_look = now.since(self._last_look), now
        span = now.since(self._last_whole)
        if self._config.asynchronous and self._thread is None and call.seconds > 0:
            calls = max(1, math.ceil(self._expected_seconds / call.seconds))
            span = Moment(span.update + calls * call.update, span.seconds + calls * call.seconds)
        return self._is_interval(span)

    def save(self, snapshot: Snapshot, in_background: bool) -> bool:
        """Saves a checkpoint, unless this update is saved already, which it says.

        In the background, it returns once the last one is written and the state is copied, unless a whole interval has
        passed since the last one: then it waits. If writing fails later, the next call of `due` or `save` raises the
        error. If the run directory was deleted, it is made again, with a line to the user.

        Raises:
          PodmetaError: it was renamed. The checkpoint is saved where it is now.
        """
        start = time.monotonic()
        now = self._now(snapshot.update)
        try:
            return self._save(snapshot, now, in_background)
        finally:
            self._seconds_stood_still += time.monotonic() - start

    def take_seconds(self) -> float | None:
        """How long it took to write in the background, the first time that this is called after the end; else None."""
        seconds, self._seconds = self._seconds, None
        return seconds

    def close(self) -> None:
        """Waits for what is being written. An error is not raised: another one, or the end of the job, came first."""
        if self._thread is not None:
            self._thread.join()

    def _now(self, update: int) -> Moment:
        return Moment(update, time.monotonic() - self._seconds_stood_still)

    def _save(self, snapshot: Snapshot, now: Moment, in_background: bool) -> bool:
        self._wait()
        if self._is_in_place() and self._is_saved(snapshot.update):
            self._last = self._last_whole = now
            return False
        if in_background:
            # A copy: training uses the buffers again.
            copied = snapshot._replace(state=jax.tree.map(np.array, jax.device_get(snapshot.state)))
            self._thread = AbandonableThread("checkpoint", functools.partial(self._write_in_thread, copied))
            self._thread.start()
            self._last = now
            if self._is_interval(now.since(self._last_whole)):
                self._wait()
        else:
            self._write(snapshot)
            self._last = self._last_whole = now
        return True

    def _wait(self) -> None:
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._last_whole = self._last

    def _is_interval(self, span: Moment) -> bool:
        every_updates, every_seconds = self._config.every_updates, self._config.every_seconds
        return 0 < every_updates <= span.update or 0 < every_seconds <= span.seconds

    def _write_in_thread(self, snapshot: Snapshot) -> None:
        start = time.perf_counter()
        try:
            self._write(snapshot)
        except BaseException as error:
            self._error = error
        self._seconds = self._expected_seconds = time.perf_counter() - start

    def _is_in_place(self) -> bool:
        return self._run_directory.current_path() == self._run_directory.path

    def _is_saved(self, update: int) -> bool:
        return update == self._last.update and update in self._checkpoints.steps()

    def _write(self, snapshot: Snapshot) -> None:
        if self._is_in_place():
            if self._has_saved and not self._checkpoints.steps():
                self._tell(
                    f"warning: the checkpoints in {self._checkpoints.directory} were deleted while the job trained: "
                    f"that of update {snapshot.update} is the only one"
                )
            try:
                _write_in(self._checkpoints, snapshot)
            except PodmetaError:  # also because the directory is being renamed
                if self._is_in_place():
                    raise
        if not self._is_in_place():
            self._write_elsewhere(snapshot)
        self._has_saved = True

    def _write_elsewhere(self, snapshot: Snapshot) -> None:
        """Writes a checkpoint where the run directory is now, or in a new one."""
        path, current = self._run_directory.path, self._run_directory.current_path()
        if current is None:
            try:
                self._run_directory.make_again()
            except InputError as error:
                raise PodmetaError(
                    f"{path} was deleted while the job trained, and no checkpoint of update {snapshot.update} can be "
                    f"saved there: {error}"
                ) from error
            self._tell(f"warning: {path} was deleted while the job trained: it is made again, without earlier files")
            _write_in(self._checkpoints, snapshot)
            return
        _write_in(Checkpoints(current / "checkpoints", self._config.keep, self._config.keep_every), snapshot)
        raise PodmetaError(
            f"{path} was renamed to {current} while the job trained. A checkpoint of update {snapshot.update} is "
            f"saved there: to resume, repeat the command with {to_paste('run_dir', current)}"
        )


def _write_in(checkpoints: Checkpoints, snapshot: Snapshot) -> None:
    digests = sha256_by_instance(snapshot.state.outer.meta_params)
    metadata = CheckpointMetadata(snapshot.seconds, digests, describe_generator(), snapshot.meta_tests)
    checkpoints.save(snapshot.update, snapshot.state, metadata)
    # A summary that an earlier end has left is of another θ from here on.
    (checkpoints.directory.parent / SUMMARY).unlink(missing_ok=True)
