"""Code that may not return, or may end the process: threads that can be abandoned, and `os._exit` as an exception.

Unlike `sys.exit`, `os._exit` in a user's code would end the job at once, perhaps with exit code 0.
"""

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

_end_process = os._exit
_guarded = threading.local()  # depth: of `ExitsRaise` blocks in this thread; pid: of the process that entered them


class AbandonableThread(threading.Thread):
    """A thread for code that cannot be interrupted (XLA programs, users' environments), which may be abandoned."""

    def __init__(self, name: str, target: Callable[[], object] | None = None) -> None:
        super().__init__(name=name, target=target, daemon=True)


class HardExit(SystemExit):
    """A user's code called `os._exit`."""


class ExitsRaise:
    """Within this `with` block, `os._exit` raises `HardExit` in the same thread, but not in children forked there."""

    def __enter__(self) -> None:
        os._exit = _exit
        _guarded.depth = getattr(_guarded, "depth", 0) + 1
        _guarded.pid = os.getpid()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _guarded.depth -= 1


def exit_in_words(error: SystemExit) -> str:
    """How somebody's code tried to end the process, such as "it called sys.exit(0)"."""
    function = "os._exit" if isinstance(error, HardExit) else "sys.exit"
    return f"it called {function}({'' if error.code is None else repr(error.code)})"


def _exit(status: int) -> NoReturn:
    if getattr(_guarded, "depth", 0) > 0 and _guarded.pid == os.getpid():
        raise HardExit(status)
    _end_process(status)
