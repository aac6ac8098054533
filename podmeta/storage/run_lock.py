"""The lock of a run directory, which one process holds at a time.

The operating system frees the lock of a killed process, so whether it is held tells whether the process lives.
"""

import contextlib
import os
import re
import socket
import sys
import time
from pathlib import Path

import portalocker
from portalocker.exceptions import AlreadyLocked, LockException

from podmeta.data_files import open_data
from podmeta.errors import InputError
from podmeta.operating_system import do_in_forked_children, open_directory
from podmeta.storage.files import open_regular_file, reason

_LOCK = "lock"
_MAX_HOLDER = 1000  # bytes
# `holder_of` takes the lock for a moment, together with others who only look. A job must not take this for a holder.
_TRIES, _SECONDS_BETWEEN_TRIES = 4, 0.05


def holder_of(directory: Path) -> str | None:
    """The process that holds a run directory, in words; None if nobody does. Nothing is written."""
    try:
        with open_data(directory / _LOCK) as file:
            try:
                portalocker.lock(file, portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING)
            except AlreadyLocked:
                return _named_holder(file.fileno())
    except (OSError, ValueError, LockException):  # ValueError: a name that no file can have
        return None
    return None


def this_process() -> str:
    """This process, as locks name it to others."""
    return f"process {os.getpid()} on {socket.gethostname()}, started by process {os.getppid()}"


class RunLock:
    """An exclusive lock on a file of a directory, which is created where it does not exist.

    On Linux and macOS it is a `flock`.

    Attributes:
      holder: this process, as the file names it.
    """

    def __init__(self, directory: Path, name: str = _LOCK) -> None:
        """Takes the lock.

        Args:
          directory: what it keeps from other processes.
          name: of the file; the default is that of a run directory.

        Raises:
          InputError: another process holds it, or it cannot be had.
        """
        self._directory = directory
        path = directory / name
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = open_regular_file(path)
        except OSError as error:
            raise InputError(
                f"run_dir {directory} cannot be written: {reason(error)}. Choose another run_dir."
            ) from error
        try:
            _take(descriptor)
            os.ftruncate(descriptor, 0)
            self.holder = this_process()
            os.write(descriptor, f"{self.holder}\n".encode())
        except AlreadyLocked:
            holder = _named_holder(descriptor)
            os.close(descriptor)
            raise InputError(f"run_dir {directory} is in use by {holder}{_advice_about(holder)}") from None
        except (OSError, LockException) as error:
            os.close(descriptor)
            raise InputError(
                f"run_dir {directory} cannot be locked: {reason(error.__cause__ or error)}. Choose a run_dir on a file "
                "system that has space and file locks."
            ) from error
        self._descriptor: int | None = descriptor
        self._status = directory.stat()
        self._directory_descriptor = open_directory(directory)  # so that its inode is not given to another directory
        # A forked child (a worker of a host environment) shares the lock. Were it to outlive a killed job, it
        # would keep the directory from the job's next start.
        do_in_forked_children(self.release)

    def release(self) -> None:
        """Releases the lock. May be called twice."""
        # Closing gives up this process's share only: a child's `release` does not take the lock from its parent.
        if self._descriptor is not None:
            os.close(self._descriptor)
            if self._directory_descriptor is not None:
                os.close(self._directory_descriptor)
            self._descriptor = None

    def directory_now(self) -> Path | None:
        """Where the directory is: None if it was deleted, and where it was if the file system does not answer."""
        for path in (self._directory, *_paths_of(self._directory_descriptor)):
            try:
                if os.path.samestat(path.stat(), self._status):
                    return path
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return self._directory
        return None


def _take(descriptor: int) -> None:
    """Takes the lock of an open file.

    Raises:
      AlreadyLocked: another process holds it.
      LockException: the file system has no locks.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            portalocker.lock(descriptor, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except AlreadyLocked:
            if attempt == _TRIES:
                raise
            time.sleep(_SECONDS_BETWEEN_TRIES)
        else:
            return


def _named_holder(descriptor: int) -> str:
    """Who holds a lock, by the text of its file. Windows lets nobody read it."""
    content = b""
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        content = os.read(descriptor, _MAX_HOLDER)
    return content.decode(errors="replace").strip() or "another process"


def _paths_of(descriptor: int | None) -> tuple[Path, ...]:
    """Where an open directory is now, if the system tells."""
    if descriptor is None:
        return ()
    if sys.platform == "darwin":
        import fcntl

        return (Path(os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))),)
    return (Path(f"/proc/self/fd/{descriptor}").readlink(),)


def _advice_about(holder: str) -> str:
    """The end of the message about who holds a lock. It depends on whether what started the holder still lives."""
    found = re.fullmatch(r"process (\d+) on (.*), started by process (\d+)", holder)
    if found is not None and found[2] == socket.gethostname() and not _is_alive(int(found[3])):
        return f", which is gone. Wait for it, end it with kill {found[1]}, or choose another run_dir."
    return ". Wait for it, stop it, or choose another run_dir."


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
