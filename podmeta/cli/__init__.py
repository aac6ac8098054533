"""The `podmeta` command: its entry, which imports almost nothing until signals and streams are in order."""

import os
import signal
import sys
import time

from podmeta.utf8 import restart_in_utf8_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podmeta.distributed.signals import Interruption

_RESULTS_IN_FILES = ("train", "evaluate", "report", "export")
"""Commands whose results are files, so that lost output is not a failure."""

_PRINT_ONLY = ("-c", "--cfg", "--dry-run", "-h", "--help")
"""Flags with which these commands only print."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line. Exit codes: 0 done, 1 failed while running, 2 wrong input, 130 interrupted.

    Args:
      arguments: the words after `podmeta`. None takes those of this process, and takes care of its signals and
        standard streams.
    """
    began = time.time()
    try:
        if arguments is None:
            # Python drops a KeyboardInterrupt that is raised in a callback of its import system, so Ctrl-C waits.
            if hasattr(signal, "pthread_sigmask"):  # Windows has none
                signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
            restart_in_utf8_mode()
        from podmeta.distributed.signals import Interruption
        from podmeta.operating_system import unblock

        interruption = Interruption("no file is left half written; the same command starts again")
        if arguments is None:
            _open_standard_descriptors()
            interruption.watch()
            unblock(signal.SIGINT)
    except KeyboardInterrupt:  # before it was blocked
        print("interrupted: nothing had started", file=sys.stderr)
        return 130
    if arguments is None:
        return _run_as_process(sys.argv[1:], interruption, began)
    from podmeta.cli.commands import run

    return run(arguments, interruption, began)


def _run_as_process(arguments: list[str], interruption: "Interruption", began: float) -> int:
    import shlex

    from podmeta.distributed.children import end_with_parent
    from podmeta.streams import protect_streams

    _explain_crashes()
    output = protect_streams()
    end_with_parent()
    prints_only = any(word.startswith(_PRINT_ONLY) for word in arguments)
    if arguments[:1] == ["train"] and not prints_only:
        # Before the seconds that imports take.
        print("podmeta: composing the job, then starting JAX", file=sys.stderr, flush=True)
    interruption.advice = f"no file is left half written; to start again: {shlex.join(['podmeta', *arguments])}"
    from podmeta.cli.commands import run

    code = run(arguments, interruption, began)
    interruption.advice = "the command had come to its end"
    sys.stdout.flush()
    result_is_lost = prints_only or not set(arguments[:1]) & set(_RESULTS_IN_FILES)
    if output.error is not None and code == 0 and result_is_lost:
        print(f"failed: the output could not be written: {output.error.strerror}", file=sys.stderr)
        code = 1
    _leave(code)
    return code


def _open_standard_descriptors() -> None:
    """Opens those of the descriptors 0 to 2 that are closed on the null device.

    Otherwise the next file that is opened, such as a checkpoint, would get the number of a standard stream, and the
    messages of C++ libraries with it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _explain_crashes() -> None:
    """Shows where Python is when a library crashes. An environment that steps inline gives a hint there."""
    import contextlib
    import faulthandler

    with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):  # standard error cannot be written to
        faulthandler.enable()


def _leave(code: int) -> None:
    """Ends this process here if what an ordinary exit waits for may never come. Without JAX, there is no such thing."""
    if "jax" in sys.modules:
        from podmeta.distributed.shutdown import leave

        leave(code)
