"""The `podmeta` command: its entry, which imports almost nothing until signals and streams are in order."""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line. Exit codes: 0 done, 1 failed while running, 2 wrong input, 130 interrupted.

    Args:
      arguments: the words after `podmeta`; None takes those of this process.
    """
    from podmeta.cli.commands import run

    return run(sys.argv[1:] if arguments is None else arguments)
