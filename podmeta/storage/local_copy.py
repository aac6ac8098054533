"""The local copies of runs in object stores, in the user's cache: one folder per address.

A job trains in the copy as in any run directory. Others read the copy, which is brought up to date before. `token` says
which holder of the run's lock in the store had this copy last: if nobody has held it since, the copy is not behind. It
names two while the lock passes from one to the next, because a kill may come on either side of that.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from podmeta.data_files import read_data
from podmeta.errors import InputError
from podmeta.storage.checkpoint_files import CHECKSUMS, checksum_lines, step_name, steps_in
from podmeta.storage.files import TEMPORARY_PREFIX, reason, write_atomically
from podmeta.storage.object_store import ObjectStore, StoreError
from podmeta.storage.run_files import FILES, FOLDERS
from podmeta.storage.run_lock import RunLock, holder_of
from podmeta.storage.store_lock import holder_in

CHECKPOINTS = "checkpoints"
_PLACES = {*FILES, *(folder.partition("/")[0] for folder in FOLDERS)}
"""What a run consists of. Other objects below its address are none of its."""
_CHECKPOINT_FILE = re.compile(rf"{CHECKPOINTS}/(step_\d{{8,18}})/.+")
_ODD = re.compile(r'[\\:*?"<>|\x00-\x1f]')  # not in the names of our files, and not safe on every system
_TOKEN, _WRITER = "token", "writer"
_MAX_TOKENS = 100  # bytes
_SECONDS_BETWEEN_TRIES = 0.5


class LocalCopy:
    """The copy of one run.

    Attributes:
      store: the run.
      path: its copy, a run directory.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Makes its folder, without a copy in it.

        Args:
          store: the run.

        Raises:
          InputError: the folder cannot be made.
        """
        self.store = store
        user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        stores = Path(user_cache).expanduser().absolute() / "podmeta" / "stores"
        self._folder = stores / hashlib.sha256(store.address.encode()).hexdigest()[:16]
        name = PurePosixPath(store.address).name
        self.path = self._folder / "copy" / (name if _is_safe(name) else "run")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the copy of {store.address}, {self.path}, cannot be made: {reason(error)}") from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keeps others on this machine from the copy in the `with` block, to bring it up to date. Waits for them.

        Yields:
          Whether it may be changed; False if another process trains or tests in it.
        """
        lock = None
        while lock is None and holder_of(self._folder / _WRITER) is None:
            try:
                lock = RunLock(self._folder)
            except InputError:
                if holder_of(self._folder) is None:
                    raise
                time.sleep(_SECONDS_BETWEEN_TRIES)
        try:
            yield lock is not None and holder_of(self._folder / _WRITER) is None
        finally:
            if lock is not None:
                lock.release()

    def hold(self) -> RunLock:
        """Says to others on this machine that this process trains or tests in the copy, until the lock is released.

        Raises:
          InputError: another one does.
        """
        return RunLock(self._folder / _WRITER)

    @property
    def tokens(self) -> list[str]:
        """Of the holder of the run's lock that had this copy last, and the one to come; none if it may be behind."""
        try:
            return read_data(self._folder / _TOKEN, _MAX_TOKENS).decode().split()
        except (OSError, ValueError):
            return []

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """Sets the tokens of a copy that is up to date."""
        write_atomically(self._folder / _TOKEN, "\n".join(tokens))

    def fetch(self, all_checkpoints: bool) -> None:
        """Makes the copy like the run in the store. The tokens are cleared: a kill may leave the copy incomplete.

        Args:
          all_checkpoints: whether to copy every checkpoint, or the newest that is as it was saved.

        Raises:
          StoreError: the store cannot be read.
          InputError: the copy cannot be written.
        """
        self.set_tokens([])
        names = [name for name in self.store.names() if _is_safe(name)]
        try:
            self._fetch_files([name for name in names if is_file_of_run(name)])
            self._fetch_checkpoints(names, all_checkpoints)
        except OSError as error:
            raise InputError(f"the copy of {self.store.address}, {self.path}: {reason(error)}") from error

    def _fetch_files(self, names: list[str]) -> None:
        for name in set(files_of_run(self.path)) - set(names):
            (self.path / name).unlink(missing_ok=True)
        for name in names:
            self._download(name, self.path / name)

    def _fetch_checkpoints(self, names: list[str], all_checkpoints: bool) -> None:
        folder = self.path / CHECKPOINTS
        # Without checksums, a checkpoint has not come to the store as a whole, or is being deleted there.
        steps = [step for step in published_steps(names) if f"{CHECKPOINTS}/{step_name(step)}/{CHECKSUMS}" in names]
        for step in set(steps_in(folder)) - set(steps):
            shutil.rmtree(folder / step_name(step))
        for step in reversed(steps):
            is_good = self._fetch_checkpoint(folder / step_name(step), names)
            if is_good and not all_checkpoints:
                return

    def _fetch_checkpoint(self, path: Path, names: list[str]) -> bool:
        """Copies a checkpoint, unless it is there; whether its files are as they were saved."""
        inside = f"{CHECKPOINTS}/{path.name}/"
        expected = self.store.read(f"{inside}{CHECKSUMS}")
        if path.is_dir() and _checksums(path) == expected:
            return True
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{secrets.token_hex(8)}")
        temporary.mkdir(parents=True)
        try:
            for name in names:
                if name.startswith(inside):
                    self._download(name, temporary / name.removeprefix(inside))
            if path.exists():
                shutil.rmtree(path)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return _checksums(path) == expected

    def _download(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
        try:
            self.store.download(name, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def fetch_run(address: str) -> Path:
    """The local copy of a run in a store, to read it: up to date, with the newest checkpoint.

    If a process of this machine trains or tests it, the copy is what that has written, published or not.
    Nothing is written in the store.

    Args:
      address: such as s3://bucket/run.

    Raises:
      InputError: the store cannot be reached, or holds no run there.
    """
    store = ObjectStore(address)
    copy = LocalCopy(store)
    with copy.locked() as held, explained_to_user():
        if held and holder_in(store).token not in copy.tokens:
            copy.fetch(all_checkpoints=False)
    if not os.path.lexists(copy.path / "config.yaml"):
        raise InputError(f"{store.address} holds no run: it has no config.yaml")
    return copy.path


@contextlib.contextmanager
def explained_to_user() -> Iterator[None]:
    """At the start of a command, a store that cannot be reached is the user's to see to."""
    try:
        yield
    except StoreError as error:
        raise InputError(str(error)) from error


def files_of_run(path: Path) -> dict[str, tuple[int, int]]:
    """The files of a run directory outside its checkpoints, by name, each with what changes when it does."""
    found = {}
    for parent, folders, names in os.walk(path):
        folders[:] = [folder for folder in folders if folder in _PLACES - {CHECKPOINTS} or Path(parent) != path]
        for name in names:
            file = Path(parent, name)
            relative = file.relative_to(path).as_posix()
            if is_file_of_run(relative) and not file.is_symlink():
                with contextlib.suppress(FileNotFoundError):
                    status = file.lstat()
                    found[relative] = (status.st_mtime_ns, status.st_size)
    return found


def is_file_of_run(name: str) -> bool:
    """Whether an object or file is one of a run's outside its checkpoints."""
    parts = PurePosixPath(name).parts
    is_temporary = any(part.startswith(".") for part in parts)
    return bool(parts) and parts[0] in _PLACES - {CHECKPOINTS} and not is_temporary


def published_steps(names: list[str]) -> list[int]:
    """The steps of all checkpoints of which there are objects, ascending."""
    matches = [_CHECKPOINT_FILE.fullmatch(name) for name in names]
    return sorted({int(match[1].removeprefix("step_")) for match in matches if match})


def _is_safe(name: str) -> bool:
    """Whether the name of an object is one of a file inside a folder, on any system."""
    parts = name.split("/")
    return not _ODD.search(name) and all(part and part not in (".", "..") for part in parts)


def _checksums(path: Path) -> bytes | None:
    """The checksums of a checkpoint's files as they are; None if they cannot be read."""
    try:
        return "".join(checksum_lines(path)).encode()
    except OSError:
        return None
