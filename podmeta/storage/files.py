"""Writes files so that a kill, a power cut or a full disk never leaves an incomplete file under its name."""

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from podmeta.errors import PodmetaError
from podmeta.operating_system import open_directory, open_without_following

TEMPORARY_PREFIX = ".tmp-"
"""Prefix of the names of incomplete files."""

_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows knows no quota
_CHUNK_BYTES = 2**20
_SECONDS_TO_WRITE = 3600.0  # more than any file takes


def write_atomically(path: Path, content: str | bytes, flush: bool = True) -> None:
    """Writes a file, text as UTF-8, whole or not at all: to a temporary file, flushed to disk, then renamed.

    Args:
      path: the file.
      content: what it will hold.
      flush: whether to wait until it is on the disk. Otherwise a power cut may leave it empty.

    Raises:
      PodmetaError: it could not be written; an earlier file is intact.
    """
    # A name that nobody can foresee: in a directory of somebody else's a link could stand there, or another's file.
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    with explained_write_errors(path):
        try:
            with create_file(temporary) as file:
                file.write(content.encode() if isinstance(content, str) else content)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)  # a link there is replaced, not followed
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if flush:
            flush_entries_to_disk(path.parent)


def create_file(path: Path, mode: int = 0o666) -> BinaryIO:
    """Opens a new file to write.

    Args:
      path: the file.
      mode: its permissions, less the umask.

    Raises:
      OSError: it cannot be created, or its name is taken, possibly by a broken link.
    """
    return os.fdopen(open_without_following(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def open_regular_file(path: Path, flags: int = 0) -> int:
    """The descriptor of a regular file that is opened to read and write, and made where there is none.

    Args:
      path: the file.
      flags: more flags for `os.open`, such as `os.O_APPEND`.

    Raises:
      OSError: it cannot be opened, is a link, or no regular file.
    """
    descriptor = open_without_following(path, os.O_RDWR | os.O_CREAT | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    return descriptor


def open_to_append(path: Path) -> BinaryIO:
    """Opens a regular file to write at its end, and makes it where there is none.

    Raises:
      OSError: as `open_regular_file`.
    """
    return os.fdopen(open_regular_file(path, os.O_APPEND), "ab")


def delete_old_temporaries(directory: Path) -> None:
    """Deletes temporary files of killed processes."""
    for path in directory.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _SECONDS_TO_WRITE:
                path.unlink()


def ensure_room(directory: Path, num_bytes: int) -> None:
    """Checks that this many bytes can be written there, by writing them: a quota shows in no other way.

    Raises:
      OSError: they cannot, for instance because the disk is full. The bytes are deleted again.
    """
    file = directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        with create_file(file) as room:
            for begin in range(0, num_bytes, _CHUNK_BYTES):
                room.write(bytes(min(_CHUNK_BYTES, num_bytes - begin)))
    finally:
        file.unlink(missing_ok=True)


def flush_tree_to_disk(directory: Path) -> None:
    """Returns once every file below the directory, and the directory's own entries, have reached the disk."""
    for parent, _, names in os.walk(directory):
        for name in names:
            with Path(parent, name).open("rb") as file:
                os.fsync(file.fileno())
        flush_entries_to_disk(Path(parent))


def flush_entries_to_disk(directory: Path) -> None:
    """Returns once the directory's entries have reached the disk: after a rename, so that it outlives a power cut.

    On Windows it returns at once.
    """
    descriptor = open_directory(directory)
    if descriptor is None:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained_write_errors(path: Path) -> Iterator[None]:
    """Turns an operating system's error into a `PodmetaError` that names the file and says why."""
    try:
        yield
    except OSError as error:
        raise PodmetaError(f"{path} could not be written: {reason(error)}.") from error


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk (or quota) is behind an error, its causes included.

    Libraries that write from C++ raise other types than OSError and name the reason in the text only.
    """
    texts = [os.strerror(number) for number in _DISK_FULL]
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _DISK_FULL:
            return True
        if any(text in str(cause) for text in texts):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def reason(error: BaseException) -> str:
    """One line about the cause of an error."""
    if is_disk_full(error):
        return "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
