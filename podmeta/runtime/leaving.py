"""The end of a process that must not wait for what an ordinary exit waits for."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable

from podmeta.runtime.distributed import has_joined_others


class ForeignWork(threading.Thread):
    """A thread that runs what cannot be interrupted, XLA's programs and users' environments, and may be left in it."""

    def __init__(self, name: str, target: Callable[[], object] | None = None) -> None:
        super().__init__(name=name, target=target, daemon=True)


def leave(code: int) -> None:
    """Ends the process at once if an ordinary exit might not; else just returns.

    Where the job has other processes, that would first wait for all of them to leave, while they wait for this one to
    go on. Where a thread has been left in a program or an environment, that would wait for it, or take from under it
    what it runs in.
    """
    left_behind = any(isinstance(thread, ForeignWork) for thread in threading.enumerate())
    if left_behind or has_joined_others():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
