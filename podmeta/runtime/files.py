"""Writing files so that a kill, a power cut or a full disk never leaves half of one under its name."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from podmeta.errors import PodmetaError

TEMPORARY_PREFIX = ".tmp-"
"""Begins the name of everything that is not complete yet."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_CHUNK_BYTES = 2**20


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8, whole or not at all: beside it first, to the disk, then under its name.

    Raises:
      PodmetaError: it could not be written; what was there before is untouched.
    """
    temporary = path.with_name(TEMPORARY_PREFIX + path.name)
    with explained_write_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        flush_entries_to_disk(path.parent)


def ensure_room(directory: Path, num_bytes: int) -> None:
    """Returns if that many bytes can be written there now, as found by writing them: a quota tells in no other way.

    Raises:
      OSError: they cannot; the disk is full, for instance. Nothing is left of them.
    """
    file = directory / f"{TEMPORARY_PREFIX}room"
    try:
        with file.open("wb") as room:
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
    """Returns once the directory's entries have reached the disk: after a rename, so that it outlives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
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
    """One line that says what went wrong."""
    if is_disk_full(error):
        return "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
