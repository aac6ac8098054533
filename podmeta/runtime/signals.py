"""Stopping when asked: the first signal lets the job save and leave, a second Ctrl-C ends it at once."""

import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_EXIT_INTERRUPTED_TWICE = 130
_FLUSH_TIMEOUT_S = 1.0
_SHOW_CURSOR = b"\x1b[?25h"


class StopRequest:
    """Notes SIGINT and SIGTERM while its `with` block runs, for the training loop to look at.

    A second SIGINT ends the process with exit code 130, even while the main thread is inside a compiled program:
    Python's own handlers would wait for that to return, so a thread reads the signals from the wakeup descriptor.
    Enter it in the main thread, and after whatever else sets handlers of these signals.

    Attributes:
      signal_name: "SIGINT" or "SIGTERM", whichever came first, or None.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None

    @property
    def requested(self) -> bool:
        """Whether the job has been asked to stop."""
        return self.signal_name is not None

    def __enter__(self) -> "StopRequest":
        self._previous_handlers: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._note) for number in _SIGNALS
        }
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._previous_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, name="signals", daemon=True)
        self._watcher.start()
        self._active = True
        os.register_at_fork(after_in_child=self._leave_in_child)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._active = False
        signal.set_wakeup_fd(self._previous_wakeup)
        for number in _SIGNALS:
            self._restore(number)
        self._writer.shutdown(socket.SHUT_RDWR)  # closing would not end the watcher: forked children hold a copy
        self._watcher.join()
        self._writer.close()
        self._reader.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_name is None:
            self.signal_name = signal.Signals(number).name

    def _watch(self) -> None:
        interrupts = 0
        while received := self._reader.recv(64):
            for number in received:
                if number in _SIGNALS:
                    self._note(number, None)
            interrupts += received.count(signal.SIGINT)
            if interrupts >= 2:
                _exit_at_once()

    def _restore(self, number: signal.Signals) -> None:
        # None: a handler that was not set from Python, which cannot be set again.
        previous = self._previous_handlers[number]
        signal.signal(number, signal.SIG_DFL if previous is None else previous)

    def _leave_in_child(self) -> None:
        # A forked child (a worker of a host environment) gets the terminal's Ctrl-C too. It must live on while
        # its parent finishes the update, die when its parent terminates it, and tell the parent's watcher nothing.
        if self._active:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._restore(signal.SIGTERM)


def _exit_at_once() -> None:
    # The main thread may hold the lock of a stream for good, so that flushing must not be waited for for ever.
    flush = threading.Thread(target=_flush_streams, daemon=True)
    flush.start()
    flush.join(_FLUSH_TIMEOUT_S)
    os._exit(_EXIT_INTERRUPTED_TWICE)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            if stream.isatty():
                os.write(stream.fileno(), _SHOW_CURSOR)  # a live progress display hides it
