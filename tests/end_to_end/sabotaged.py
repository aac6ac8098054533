"""The `podmeta` command with a fault in one of Sebulba's own parts: sabotaged PART CALLS ARGUMENTS...

PART, such as actor.Actor._live_on, is a method below podmeta.runtime.sebulba, whose CALLS-th call raises.
"""

import importlib
import itertools
import os
import sys
from pathlib import Path

from podmeta.cli import main


def sabotage(part: str, calls: int) -> None:
    """Replaces a method by one that fails at some call."""
    module, owner, method = part.split(".")
    place = getattr(importlib.import_module(f"podmeta.runtime.sebulba.{module}"), owner)
    sound, count = getattr(place, method), itertools.count(1)

    def fails(*arguments):
        if next(count) == calls:
            Path(os.environ["FAULT"]).touch()
            raise RuntimeError("sabotage")
        return sound(*arguments)

    setattr(place, method, fails)


if __name__ == "__main__":
    part, calls, *arguments = sys.argv[1:]
    sabotage(part, int(calls))
    sys.argv[1:] = arguments
    sys.exit(main())
