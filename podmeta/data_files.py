"""Reads files of a run directory, which may be somebody else's: as data, without following links, up to a size."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from podmeta.operating_system import memory_bytes, open_without_following


def most_array_bytes() -> int:
    """The largest size of arrays in somebody else's file: half of this machine's memory."""
    return memory_bytes() // 2


def read_data(path: Path, max_bytes: int | None = None) -> bytes:
    """The content of a regular file.

    Args:
      path: the file.
      max_bytes: its largest size; None: no limit.

    Raises:
      OSError: it cannot be read, is a link or not a regular file (such as a pipe, which would never end), or is larger.
      ValueError: it is not a valid file name.
    """
    with open_data(path, max_bytes) as file:
        return file.read()


def read_named_data(path: Path, max_bytes: int | None = None) -> bytes:
    """As `read_data`, for a file that the user has named, which may be a link."""
    return read_data(Path(os.path.realpath(path)), max_bytes)


def open_data(path: Path, max_bytes: int | None = None, folder: int | None = None) -> BufferedReader:
    """A regular file, open for reading. See `read_data`; for the folder's descriptor, `open_without_following`."""
    descriptor = open_without_following(path, os.O_RDONLY, folder=folder)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "It is not a regular file", str(path))
        if max_bytes is not None and status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"It holds {status.st_size:,} bytes, more than {max_bytes:,}", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
