"""Runs the podmeta commands of a script that can be given again."""

import shlex
import sys
from collections.abc import Callable, Iterable

from podmeta.distributed.children import run_child


def run_what_is_left(commands_left: Callable[[], Iterable[list[str]]]) -> int | None:
    """Runs podmeta commands in turn, until none is left.

    Args:
      commands_left: the commands that have not come to their ends yet, in order. It is asked again after each.

    Returns:
      The exit code to end with, where a command fails or stops before its end; else None.
    """
    before: list[str] | None = None
    while (command := next(iter(commands_left()), None)) is not None:
        if command == before:
            print("stopped before its end: the same command resumes it")
            return 0
        print(shlex.join(["podmeta", *command]), flush=True)
        code, _ = run_child([sys.executable, "-m", "podmeta", *command])
        if code != 0:
            return code if code > 0 else 128 - code
        before = command
    return None
