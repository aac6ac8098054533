"""Signals, and stop requests.

After the first signal, a job saves and stops. A second Ctrl-C ends it at once. This module imports almost nothing,
because signals must be watched during the seconds that other imports take.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from podmeta.operating_system import FROM_TERMINAL, STOP_SIGNALS, blocked, do_in_forked_children

_EXIT_INTERRUPTED = 130
_FLUSH_TIMEOUT_S = 1.0
_SHOW_CURSOR = b"\x1b[?25h"
_END = 0  # no signal has this number


class SignalWatch:
    """Calls a function for every signal of some kinds that arrives while its `with` block runs.

    The function is called in a thread, so that it runs even while the main thread is inside a compiled program:
    Python's own handlers would wait for that to return. Nothing is raised in the main thread.

    A SIGHUP that is ignored, as under nohup, stays ignored. Outside the main thread, where Python cannot set
    handlers, nothing is watched. Enter it after whatever else sets handlers of these signals.

    Args:
      numbers: which signals.
      notice: called with the number of each.
      ignored_in_children: signals that a forked child ignores. Others do to it what they did before the block.
    """

    def __init__(
        self,
        numbers: tuple[signal.Signals, ...],
        notice: Callable[[int], None],
        ignored_in_children: tuple[signal.Signals, ...] = (),
    ) -> None:
        self._numbers = numbers
        self._notice = notice
        self._ignored_in_children = ignored_in_children
        self._active = False

    def __enter__(self) -> "SignalWatch":
        if threading.current_thread() is not threading.main_thread():
            return self
        self._reader, self._writer = os.pipe()
        if hasattr(os, "set_blocking"):  # Windows has it since Python 3.12
            os.set_blocking(self._writer, False)
        self._watcher = threading.Thread(target=self._watch, name="signals", daemon=True)
        heard = [n for n in self._numbers if n.name != "SIGHUP" or signal.getsignal(n) is not signal.SIG_IGN]
        with blocked(*heard):  # one that came in between would be noted, and be handled as before as well
            self._watcher.start()
            self._previous_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            self._previous_handlers = {number: signal.signal(number, _do_nothing) for number in heard}
            self._active = True
        do_in_forked_children(self._leave_in_child)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._active:
            return
        self._active = False
        signal.set_wakeup_fd(self._previous_wakeup)
        for number in self._previous_handlers:
            self._restore(number)
        os.write(self._writer, bytes([_END]))  # closing would not end the watcher: forked children hold a copy
        self._watcher.join()
        os.close(self._writer)
        os.close(self._reader)

    def _watch(self) -> None:
        while True:
            for number in os.read(self._reader, 64):
                if number == _END:
                    return
                if number in self._numbers:
                    self._notice(number)

    def _restore(self, number: signal.Signals) -> None:
        # None: a handler that was not set from Python, which cannot be set again.
        previous = self._previous_handlers[number]
        signal.signal(number, signal.SIG_DFL if previous is None else previous)

    def _leave_in_child(self) -> None:
        # The watcher does not run in a forked child (a worker of a host environment), and must not hear of its signals.
        if self._active:
            self._active = False
            signal.set_wakeup_fd(-1)
            for number in self._previous_handlers:
                if number in self._ignored_in_children:
                    signal.signal(number, signal.SIG_IGN)
                elif self._previous_handlers[number] is signal.default_int_handler:
                    signal.signal(number, signal.SIG_DFL)  # a KeyboardInterrupt would show a traceback
                else:
                    self._restore(number)


class StopRequest:
    """Notes SIGINT, SIGTERM and SIGHUP while its `with` block runs, for the training loop to look at.

    A second SIGINT ends the process at once, with exit code 130. A forked child gets the terminal's signals too: it
    works on while its parent finishes the update, and dies when its parent terminates it.

    Attributes:
      signal_name: the name of the signal that came first, or None.
      advice: the message at a second Ctrl-C: what is safe, and the command that continues.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self.advice = ""
        self._interrupts = 0
        self._signals = SignalWatch(STOP_SIGNALS, self._note, ignored_in_children=FROM_TERMINAL)

    @property
    def requested(self) -> bool:
        """Whether the job has been asked to stop."""
        return self.signal_name is not None

    def __enter__(self) -> "StopRequest":
        self._signals.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.__exit__(kind, error, trace)

    def _note(self, number: int) -> None:
        if self.signal_name is None:
            self.signal_name = signal.Signals(number).name
        self._interrupts += number == signal.SIGINT
        if self._interrupts >= 2:
            end_interrupted(f"interrupted twice: {self.advice}")


class Interruption:
    """Ends the process with exit code 130 and one line at the first Ctrl-C, from `watch` on.

    Nothing is raised anywhere, and no destructor runs: what JAX is compiling or computing meanwhile is left as it is.
    Files are safe, because podmeta writes each of them whole or not at all.

    Attributes:
      advice: the message: what is safe, and the command that continues.
    """

    def __init__(self, advice: str) -> None:
        self.advice = advice

    def watch(self) -> None:
        """Begins to watch for Ctrl-C, until the process ends."""
        SignalWatch((signal.SIGINT,), lambda number: end_interrupted(f"interrupted: {self.advice}")).__enter__()


def end_interrupted(line: str) -> None:
    """Ends the process at once, with exit code 130 and a last line on the standard error stream."""
    # The main thread may hold the lock of a stream for good, so that this must not be waited for for ever.
    last_words = threading.Thread(target=_say, args=(line,), daemon=True)
    last_words.start()
    last_words.join(_FLUSH_TIMEOUT_S)
    os._exit(_EXIT_INTERRUPTED)


def _say(line: str) -> None:
    try:
        sys.stdout.flush()  # but not the other: what it holds may be a line of which the end is not there yet
        # The main thread works on until the process ends. What it says meanwhile goes nowhere, so that this comes last.
        shown, nowhere = os.dup(sys.stderr.fileno()), os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        cursor = _SHOW_CURSOR + b"\n" if os.isatty(shown) else b""  # a live display hides it, and leaves a line
        os.write(shown, cursor + f"{line}\n".encode(sys.stderr.encoding, "replace"))
    except (OSError, ValueError, AttributeError):  # nobody reads them, or they are closed, or None
        return


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Stands for a handler, so that neither Python's nor the system's own acts. The watch's thread hears the signal."""
