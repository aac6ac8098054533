"""Processes that podmeta starts: this process forwards its signals to them, and they end when it is gone.

A launcher that is killed by SIGKILL cannot end its children. So they watch it: a pipe that it holds open closes when it
ends, however it ends, and Linux also sends a signal.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from podmeta.distributed.machine_shares import MachineShare, shares_of_machine
from podmeta.distributed.signals import SignalWatch
from podmeta.operating_system import STOP_SIGNALS, blocked, unblock
from podmeta.storage.files import explained_write_errors, open_to_append

_LIFELINE = "PODMETA_LIFELINE"
_PR_SET_PDEATHSIG = 1
_SECONDS_TO_SAVE = 4.0
_SECONDS_BETWEEN_LOOKS = 0.1


class Lifeline:
    """Starts processes that end within 5 s after this one is gone. Leave its `with` block after they have ended.

    A podmeta command then stops itself, so that it can save a checkpoint, and ends after 4 s at the latest.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def __enter__(self) -> "Lifeline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def start(
        self, command: Sequence[str], env: Mapping[str, str] = os.environ, **options: Any
    ) -> "subprocess.Popen[Any]":
        """Starts a command that calls `end_with_parent`, with the environment variables `env` and Popen's options.

        SIGINT waits until that call: a Python that is starting would show a traceback.
        """
        variables = {**env, _LIFELINE: str(self._reader)}
        with blocked(signal.SIGINT):  # the child inherits it
            return subprocess.Popen(command, env=variables, pass_fds=(self._reader,), **options)


def run_child(command: Sequence[str]) -> tuple[int, str | None]:
    """Runs a podmeta command to its end.

    It is in a session of its own, where it does not get the terminal's signals besides those that this process passes
    on: two of them would end it without a checkpoint.

    Returns:
      Its exit code, and the name of the first signal that has been passed on, or None.
    """
    received: list[str] = []

    def pass_on(number: int) -> None:
        received.append(signal.Signals(number).name)
        process.send_signal(number)

    with Lifeline() as lifeline:
        process = lifeline.start(command, start_new_session=True)
        with SignalWatch(STOP_SIGNALS, pass_on):
            code = process.wait()
    return code, received[0] if received else None


class ChildCommand(NamedTuple):
    """A podmeta command that runs beside others.

    Attributes:
      words: the program and its arguments.
      log_path: the file of its output.
    """

    words: Sequence[str]
    log_path: Path


RunCommands = Callable[
    [Iterable[ChildCommand], int, Callable[[int], None], Callable[[int, int], None], Callable[[int], bool]], str | None
]
"""What runs commands as `run_children` does."""


def run_children(
    commands: Iterable[ChildCommand],
    num_at_once: int,
    began: Callable[[int], None],
    ended: Callable[[int, int], None],
    ends_now: Callable[[int], bool] = lambda index: False,
) -> str | None:
    """Runs podmeta commands to their ends, several at once, each on its share of the cores and GPUs.

    They get signals as in `run_child`. After the first one, none is started any more.

    Args:
      commands: the commands, in the order in which they start. Each is asked for once there is room for it.
      num_at_once: how many run at once.
      began: called with the index of a command when it starts.
      ended: called with the index of a command and its exit code when it ends.
      ends_now: called with the index of a command again and again while it runs. It says whether to send it a SIGTERM
        now, which does not count as passed on.

    Returns:
      The name of the first signal that has been passed on, or None.
    """
    received: list[str] = []
    waiting = enumerate(commands)
    at_work: dict[int, tuple[int, subprocess.Popen[Any]]] = {}  # by share of the machine: the command and its process
    starting = threading.Lock()

    def pass_on(number: int) -> None:
        with starting:  # so that none starts after the signal without getting it
            received.append(signal.Signals(number).name)
            for _, process in at_work.values():
                process.send_signal(number)

    shares = shares_of_machine(num_at_once)
    free, has_more = set(range(num_at_once)), True
    with Lifeline() as lifeline, SignalWatch(STOP_SIGNALS, pass_on):
        while at_work or (has_more and not received):
            while free and has_more and not received:
                following = next(waiting, None)
                has_more = following is not None
                with starting:
                    if following is not None and not received:
                        index, command = following
                        share = min(free)
                        free.remove(share)
                        at_work[share] = index, _start_on(shares[share], lifeline, command)
                        began(index)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            for share, (index, process) in list(at_work.items()):
                code = process.poll()
                if code is not None:
                    with starting:
                        del at_work[share]
                    free.add(share)
                    ended(index, code)
                elif ends_now(index):
                    process.send_signal(signal.SIGTERM)
    return received[0] if received else None


def _start_on(share: MachineShare, lifeline: Lifeline, command: ChildCommand) -> "subprocess.Popen[Any]":
    with explained_write_errors(command.log_path):
        log = open_to_append(command.log_path)
    with log:
        process = lifeline.start(
            command.words,
            {**os.environ, **share.variables},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    share.keep_to_cores(process.pid)
    return process


def end_with_parent() -> None:
    """Has this process end when the one that started it through a `Lifeline` is gone. Otherwise it does nothing.

    Call it in the main thread, once SIGINT is handled.
    """
    descriptor = os.environ.pop(_LIFELINE, "")  # what this process starts is not held by that one
    if descriptor.isdecimal():
        threading.Thread(target=_watch_parent, args=(int(descriptor),), name="parent", daemon=True).start()
        unblock(signal.SIGINT)


def _watch_parent(descriptor: int) -> None:
    if sys.platform == "linux":  # for when Python cannot run this thread; the thread that asks must live on
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.read(descriptor, 1)  # nothing is ever written: it returns when the parent is gone, also if it was so before
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SECONDS_TO_SAVE)
    os._exit(1)
