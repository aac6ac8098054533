"""Ends a process for which an ordinary exit could wait for ever."""

import concurrent.futures.thread
import contextlib
import os
import sys
import threading
import time

from podmeta.distributed.initialise import has_joined_others
from podmeta.exits import AbandonableThread

_PATIENCE_S = 1.0  # for threads that are about to end


def leave(code: int) -> None:
    """Ends the process at once if an ordinary exit might hang; otherwise just returns.

    With other processes, an ordinary exit would wait until all of them leave, while they wait for this one to continue.
    With an abandoned thread, it would wait for the thread, or destroy what the thread is running in. With a thread that
    an environment has left running, it would wait for this thread too.
    """
    left_behind = any(isinstance(thread, AbandonableThread) for thread in threading.enumerate())
    others = _wait_for_threads_of_others()
    if others:
        names = ", ".join(thread.name for thread in others)
        print(f"warning: not waiting for a thread that an environment has left running: {names}", file=sys.stderr)
    if others or left_behind or has_joined_others():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _wait_for_threads_of_others() -> list[threading.Thread]:
    """Waits a moment for the threads that Python would wait for. Returns those still running.

    Thread pools are left out, because they end by themselves.
    """
    others = [
        thread
        for thread in threading.enumerate()
        if thread is not threading.current_thread()
        and not thread.daemon
        and getattr(thread, "_target", None) is not concurrent.futures.thread._worker
    ]
    deadline = time.monotonic() + _PATIENCE_S
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in others if thread.is_alive()]
