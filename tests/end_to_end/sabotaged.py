"""The `podmeta` command with a fault in one of Sebulba's own parts: sabotaged PART CALLS ARGUMENTS...

PART, such as lives.Lives.live_on, is a method below podmeta.runtime.sebulba, whose CALLS-th call raises; or it is
compiled_step, and the CALLS-th env step that programs do in pools of envpool never ends.
"""

import importlib
import itertools
import os
import sys
import time
from pathlib import Path

import jax

from podmeta.cli import main
from podmeta.environments.host.envpool_adapter import EnvpoolEnvironments


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


def hang_in_a_program(calls: int) -> None:
    """Replaces the compiled steps of pools by such as do not return at some step."""
    make_step, count = EnvpoolEnvironments.compiled_step, itertools.count(1)

    def hanging(environment):
        sound = make_step(environment)

        def pass_on(reward):
            if next(count) == calls:
                Path(os.environ["FAULT"]).touch()
                time.sleep(1e6)
            return reward

        def hanging_step(timestep, actions):
            after = sound.step(timestep, actions)
            return after._replace(reward=jax.pure_callback(pass_on, after.reward, after.reward))

        return sound._replace(step=hanging_step)

    EnvpoolEnvironments.compiled_step = hanging


if __name__ == "__main__":
    part, calls, *arguments = sys.argv[1:]
    if part == "compiled_step":
        hang_in_a_program(int(calls))
    else:
        sabotage(part, int(calls))
    sys.argv[1:] = arguments
    sys.exit(main())
