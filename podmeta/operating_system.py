"""What podmeta asks of the operating system and Windows lacks, each with what is done there instead.

podmeta has been run on Linux. macOS has all of this; neither macOS nor Windows has been tried.
"""

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

FROM_TERMINAL = (signal.SIGINT, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
"""Signals of a terminal: Ctrl-C, and that it closes."""

STOP_SIGNALS = (*FROM_TERMINAL, signal.SIGTERM)
"""Signals that ask a job to stop: from a terminal or a scheduler."""

LINK = "It is a link, and podmeta follows none inside a run directory"
_ASSUMED_MEMORY_BYTES = 8 * 2**30
_MOST_FOLDERS_DEEP = 20
_BUSY_LOAD_PER_CORE = 2
_MANY_ACTORS_PER_CORE = 4
# O_BINARY exists on Windows only, and the other three everywhere else.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


def open_without_following(path: Path, flags: int, mode: int = 0o666, folder: int | None = None) -> int:
    """The descriptor of a file that is no link. Opening a pipe does not wait.

    Args:
      path: the file.
      flags: for `os.open`, such as `os.O_RDONLY`.
      mode: the permissions of a new file, less the umask.
      folder: the descriptor of the folder that it is in. Then it is opened there, whatever its path leads to by now.

    Raises:
      OSError: it cannot be opened, or is a link.
    """
    try:
        if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
            raise OSError(errno.ELOOP, LINK, str(path))
        if folder is not None:
            return os.open(path.name, flags | _FLAGS, mode, dir_fd=folder)
        return os.open(path, flags | _FLAGS, mode)
    except OSError as error:
        # A link where a folder should be is ENOTDIR.
        is_link = error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and path.is_symlink())
        raise OSError(error.errno, LINK if is_link else error.strerror, str(path)) from error


def files_within(directory: Path) -> Iterator[tuple[Path, int | None]]:
    """All files below a directory, by path, and whatever else is no folder. Each comes with its folder's descriptor.

    What is opened by that descriptor is in that folder, even if a link has taken the folder's place since. On Windows
    folders have no descriptors: None.

    Raises:
      OSError: a folder cannot be read, or is a link, as may be the directory or its parent.
    """
    with _folder(directory.parent, None) as parent:
        yield from _files_within(directory, parent, _MOST_FOLDERS_DEEP)


def _files_within(directory: Path, parent: int | None, depth: int) -> Iterator[tuple[Path, int | None]]:
    if depth == 0:
        raise OSError(errno.ENAMETOOLONG, "It is too many folders deep", str(directory))
    with _folder(directory, parent) as descriptor:
        with os.scandir(directory if descriptor is None else descriptor) as entries:
            is_folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        for name in sorted(is_folder):
            if is_folder[name]:
                yield from _files_within(directory / name, descriptor, depth - 1)
            else:
                yield directory / name, descriptor


@contextlib.contextmanager
def _folder(path: Path, parent: int | None) -> Iterator[int | None]:
    """The descriptor of a folder that is no link; None on Windows."""
    if not hasattr(os, "O_DIRECTORY"):
        if path.is_symlink():
            raise OSError(errno.ELOOP, LINK, str(path))
        yield None
        return
    descriptor = open_without_following(path, os.O_RDONLY | os.O_DIRECTORY, folder=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(path: Path) -> int | None:
    """The descriptor of a directory; None on Windows, where directories have none."""
    return os.open(path, os.O_RDONLY) if hasattr(os, "O_DIRECTORY") else None


def is_private(status: os.stat_result) -> bool:
    """Whether only this user may read and write a file. False on Windows, where its status does not tell."""
    return hasattr(os, "geteuid") and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def do_in_forked_children(function: Callable[[], None]) -> None:
    """Has processes that are forked from this one call a function first. Windows forks none."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def memory_bytes() -> int:
    """The size of this machine's memory; 8 GiB where that is not known."""
    if not hasattr(os, "sysconf"):
        return _ASSUMED_MEMORY_BYTES
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def num_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lack_of_cores(num_actors: int = 1) -> str:
    """Why something may only be slow that has not answered in time: a clause for a message. Empty on an idle machine.

    Args:
      num_actors: how many threads of this process wait for environments.
    """
    cores = num_cores()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # Windows measures none
    if load <= _BUSY_LOAD_PER_CORE * cores and num_actors <= _MANY_ACTORS_PER_CORE * cores:
        return ""
    sharing = f"{num_actors} actors share" if num_actors > cores else "it has"
    return f"{sharing} {cores} {'core' if cores == 1 else 'cores'} of a machine whose load is {load:.0f}"


@contextlib.contextmanager
def blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Keeps signals waiting while the `with` block runs. The threads and processes that it starts inherit that.

    On Windows they do not wait.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock(*numbers: signal.Signals) -> None:
    """Ends the waiting of signals in this thread, if this process has inherited it."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
