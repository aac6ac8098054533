"""A run in an object store that this process trains or tests: in a local copy, from which a thread publishes.

Everything is written into the copy as into any run directory. The thread looks for what has changed there and writes it
to the store: small files first, then the files of a checkpoint, and last of all the checkpoint's checksums. Without
them it does not count. So a kill at any moment loses what came after the last published checkpoint, and nothing older.
A checkpoint that a disk has damaged meanwhile is not published, and those in the store stay.
"""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from podmeta.errors import InputError, PodmetaError
from podmeta.exits import AbandonableThread
from podmeta.storage.checkpoint_files import CHECKSUMS, BrokenCheckpointError, check_files, step_name, steps_in
from podmeta.storage.files import TEMPORARY_PREFIX
from podmeta.storage.local_copy import (
    CHECKPOINTS,
    LocalCopy,
    explained_to_user,
    files_of_run,
    is_file_of_run,
    published_steps,
)
from podmeta.storage.object_store import ObjectStore, StoreError
from podmeta.storage.store_lock import StoreLock

SECONDS_UNPUBLISHED = 1800.0
"""For how long a job trains on while nothing can be published."""
_SECONDS_AT_END = 300.0  # for which the last publication is tried
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_FILES = 30.0  # or ten times as long as it takes
_SECONDS_BETWEEN_TRIES = 5.0
_Version = tuple[int, int]


class PublishedRun:
    """A run in a store, its local copy, and the thread that publishes.

    Attributes:
      address: such as s3://bucket/run.
      path: the local copy, a run directory.
    """

    def __init__(self, store: ObjectStore, path: Path, lock: StoreLock, tell: Callable[[str], None]) -> None:
        """Starts the thread.

        Args:
          store: the run.
          path: its copy, which is not behind.
          lock: of the run, held by this process.
          tell: shows the user a line.

        Raises:
          StoreError: the store cannot be read.
        """
        self.address, self.path = store.address, path
        self._store, self._lock, self._tell = store, lock, tell
        names = store.names()
        # Of objects that an earlier process has written, the version is unknown.
        self._files: dict[str, _Version | None] = {name: None for name in names if is_file_of_run(name)}
        self._checkpoints: dict[int, _Version | None] = dict.fromkeys(published_steps(names))
        for step in self._checkpoints.keys() & set(steps_in(path / CHECKPOINTS)):
            version = self._version(step)
            published = store.read(f"{CHECKPOINTS}/{step_name(step)}/{CHECKSUMS}")
            if version and published == (path / CHECKPOINTS / step_name(step) / CHECKSUMS).read_bytes():
                self._checkpoints[step] = version
        self._broken: dict[int, _Version] = {}
        self._failing_since: float | None = None
        self._lost: str | None = None
        self._ended = threading.Event()
        self._thread = AbandonableThread("publishing", self._publish_until_ended)
        self._thread.start()

    def problem(self) -> str | None:
        """Why the job should not train on; None if it may."""
        if self._lost is not None:
            return self._lost
        since = self._failing_since
        if since is None or time.monotonic() - since < SECONDS_UNPUBLISHED:
            return None
        return f"nothing could be published at {self.address} for {SECONDS_UNPUBLISHED / 60:.0f} min. {self._kept}"

    def end(self, seconds: float) -> None:
        """Ends the thread, and publishes the rest.

        Args:
          seconds: for how long to try.

        Raises:
          PodmetaError: it could not be published.
        """
        self._ended.set()
        self._thread.join()
        start = time.monotonic()
        while not self._try():
            if self._lost is not None:
                raise PodmetaError(self._lost)
            if time.monotonic() - start >= seconds:
                raise PodmetaError(f"the end of the run could not be published at {self.address}. {self._kept}")
            time.sleep(_SECONDS_BETWEEN_TRIES)

    @property
    def _kept(self) -> str:
        return f"It is in {self.path}: the same command on this machine publishes it"

    def _publish_until_ended(self) -> None:
        next_time = time.monotonic() + _SECONDS_BETWEEN_FILES
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            start = time.monotonic()
            if self._lost is not None or not (start >= next_time or self._has_new_checkpoint()):
                continue
            published = self._try()
            seconds = time.monotonic() - start
            next_time = start + seconds + max(_SECONDS_BETWEEN_FILES, 10.0 * seconds)
            if not published:
                next_time = time.monotonic() + _SECONDS_BETWEEN_TRIES
                self._ended.wait(_SECONDS_BETWEEN_TRIES)

    def _try(self) -> bool:
        """Publishes what has changed, if the store lets it, which it returns."""
        try:
            self._lock.check()
            self._publish()
        except StoreError as error:
            if self._failing_since is None:
                self._failing_since = time.monotonic()
                self._tell(f"warning: {error}; the job goes on, and it is tried again")
            return False
        except (InputError, OSError) as error:  # the copy is being moved or deleted, which the job deals with
            self._failing_since = self._failing_since or time.monotonic()
            self._tell(f"warning: {self.path} cannot be read: {error}")
            return False
        except PodmetaError as error:
            self._lost = str(error)
            self._tell(f"warning: {error}")
            return False
        if self._failing_since is not None:
            self._tell(f"{self.address} is up to date again")
        self._failing_since = None
        return True

    def _has_new_checkpoint(self) -> bool:
        try:
            return any(self._is_new(step, self._version(step)) for step in steps_in(self.path / CHECKPOINTS))
        except InputError:
            return False

    def _is_new(self, step: int, version: _Version | None) -> bool:
        """Whether a checkpoint is to be published."""
        return version not in (self._checkpoints.get(step), self._broken.get(step))

    def _publish(self) -> None:
        # Checkpoints are looked for first: the rows of metrics.jsonl up to them are there then.
        steps = {step: version for step in steps_in(self.path / CHECKPOINTS) if (version := self._version(step))}
        files = files_of_run(self.path)
        for name, version in files.items():
            if self._files.get(name) != version:
                with contextlib.suppress(FileNotFoundError):
                    self._store.upload(name, self.path / name)
                    self._files[name] = version
        for step, version in sorted(steps.items(), reverse=True):
            if self._is_new(step, version):
                with contextlib.suppress(FileNotFoundError):  # newer ones have taken its place
                    self._publish_checkpoint(step, version)
        if self._checkpoints and not any(self._checkpoints.get(step) == version for step, version in steps.items()):
            return  # without a good checkpoint here, those in the store are all that there is
        for step in [step for step in self._checkpoints if step not in steps]:
            self._delete_checkpoint(step)
            del self._checkpoints[step]
        for name in [name for name in self._files if name not in files]:
            self._store.delete(name)
            del self._files[name]

    def _publish_checkpoint(self, step: int, version: _Version) -> None:
        there = f"{CHECKPOINTS}/{step_name(step)}/"
        with self._held(step) as folder:
            try:
                check_files(folder)
            except BrokenCheckpointError as error:
                self._broken[step] = version
                path = self.path / CHECKPOINTS / step_name(step)
                self._tell(f"warning: checkpoint {path} is broken and not published: {error}")
                return
            if step in self._checkpoints:  # of other content, or not whole
                self._delete_checkpoint(step)
            self._checkpoints[step] = None
            files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS)
            for path in [*files, folder / CHECKSUMS]:
                self._store.upload(f"{there}{path.relative_to(folder).as_posix()}", path)
            self._checkpoints[step] = version

    @contextlib.contextmanager
    def _held(self, step: int) -> Iterator[Path]:
        """The files of a checkpoint in another folder, where they stay when the job deletes it.

        Otherwise, a job that saves faster than the store takes would publish none.

        Raises:
          FileNotFoundError: it is deleted already.
        """
        folder, held = self.path / CHECKPOINTS / step_name(step), self.path.with_name(f"{TEMPORARY_PREFIX}published")
        shutil.rmtree(held, ignore_errors=True)  # a kill may have left one
        try:
            for path in [*folder.rglob("*"), folder / CHECKSUMS]:
                other = held / path.relative_to(folder)
                if not path.is_dir() and not other.exists():
                    other.parent.mkdir(parents=True, exist_ok=True)
                    _link(path, other)
            yield held
        finally:
            shutil.rmtree(held, ignore_errors=True)

    def _delete_checkpoint(self, step: int) -> None:
        there = f"{CHECKPOINTS}/{step_name(step)}"
        self._store.delete(f"{there}/{CHECKSUMS}")  # so that what is left does not count
        for name in self._store.names(there):
            self._store.delete(name)

    def _version(self, step: int) -> _Version | None:
        """What changes when a checkpoint does; None if it is not there."""
        try:
            status = (self.path / CHECKPOINTS / step_name(step) / CHECKSUMS).lstat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except FileNotFoundError:
        raise
    except OSError:  # the file system has no links
        shutil.copyfile(path, other)


@contextlib.contextmanager
def open_published(address: str, tell: Callable[[str], None]) -> Iterator[PublishedRun]:
    """Holds a run in a store, to train or test it in its local copy, and publishes what changes there.

    At the end of the `with` block, the rest is published. If an error ends it, that is tried once.

    Args:
      address: such as s3://bucket/run. There may be no run yet.
      tell: shows the user a line.

    Raises:
      InputError: the store cannot be reached, or another process holds the run.
      PodmetaError: the rest could not be published.
    """
    store = ObjectStore(address)
    copy = LocalCopy(store)
    with contextlib.ExitStack() as stack:
        with copy.locked() as free, explained_to_user():
            if not free:
                raise InputError(
                    f"run_dir {store.address} is in use by another process on this machine. Wait for it, stop it, or "
                    "choose another run_dir"
                )
            lock = StoreLock(store, copy.tokens, copy.set_tokens, tell)
            stack.callback(lock.release)
            if not lock.was_last:
                copy.fetch(all_checkpoints=True)
            copy.set_tokens([lock.token])
            stack.callback(copy.hold().release)
            run = PublishedRun(store, copy.path, lock, tell)
        tell(f"{store.address}: its copy on this machine is {copy.path}")
        try:
            yield run
        except BaseException:
            with contextlib.suppress(PodmetaError):
                run.end(0.0)
            raise
        run.end(_SECONDS_AT_END)
