"""The lock of a run directory, which one process holds at a time.

The operating system frees the lock of a killed process, so whether it is held tells whether the process lives.
"""

import fcntl
import os
import re
import socket
import sys
import time
from pathlib import Path

from podmeta.data_files import open_data
from podmeta.errors import InputError
from podmeta.storage.files import open_without_following, reason

_LOCK = "lock"
_MAX_HOLDER = 1000  # bytes
# `holder_of` takes the lock for a moment, together with others who only look. A job must not take this for a holder.
_TRIES, _SECONDS_BETWEEN_TRIES = 4, 0.05


def holder_of(directory: Path) -> str | None:
    """The process that holds a run directory, in words; None if nobody does. Nothing is written."""
    try:
        with open_data(directory / _LOCK) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(_MAX_HOLDER).decode(errors="replace").strip() or "another process"
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return None


class RunLock:
    """An exclusive `flock` on the file `lock` of a directory, which is created where it does not exist.

    Attributes:
      holder: this process, as the file names it.
    """

    def __init__(self, directory: Path) -> None:
        """Takes the lock.

        Raises:
          InputError: another process holds it, or it cannot be had.
        """
        self._directory = directory
        path = directory / _LOCK
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = open_without_following(path, 0)
        except OSError as error:
            raise InputError(
                f"run_dir {directory} cannot be written: {reason(error)}. Choose another run_dir."
            ) from error
        try:
            _take(descriptor)
            os.ftruncate(descriptor, 0)
            self.holder = f"process {os.getpid()} on {socket.gethostname()}, started by process {os.getppid()}"
            os.pwrite(descriptor, f"{self.holder}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, _MAX_HOLDER, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise InputError(f"run_dir {directory} is in use by {holder}{_advice_about(holder)}") from None
        except OSError as error:
            os.close(descriptor)
            raise InputError(
                f"run_dir {directory} cannot be locked: {reason(error)}. Choose a run_dir on a file system that "
                "has space and file locks."
            ) from error
        self._descriptor: int | None = descriptor
        self._directory_descriptor = os.open(directory, os.O_RDONLY)
        # A forked child (a worker of a host environment) shares the lock. Were it to outlive a killed job, it
        # would keep the directory from the job's next start.
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        """Releases the lock. May be called twice."""
        # Closing gives up this process's share only: a child's `release` does not take the lock from its parent.
        if self._descriptor is not None:
            os.close(self._descriptor)
            os.close(self._directory_descriptor)
            self._descriptor = None

    def directory_now(self) -> Path | None:
        """Where the directory is: None if it was deleted, and where it was if the file system does not answer."""
        for path in (self._directory, _path_of(self._directory_descriptor)):
            try:
                if os.path.samestat(path.stat(), os.fstat(self._directory_descriptor)):
                    return path
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return self._directory
        return None


def _take(descriptor: int) -> None:
    """Takes the lock of an open file.

    Raises:
      BlockingIOError: another process holds it.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == _TRIES:
                raise
            time.sleep(_SECONDS_BETWEEN_TRIES)
        else:
            return


def _path_of(descriptor: int) -> Path:
    if sys.platform == "darwin":
        return Path(os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
    return Path(f"/proc/self/fd/{descriptor}").readlink()


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
