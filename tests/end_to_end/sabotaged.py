"""The `podmeta` command with a fault in one of Sebulba's own parts: sabotaged PART CALLS ARGUMENTS...

PART is a method below podmeta.architectures.sebulba, e.g. actor_rollout.ActorRollout.begin; its CALLS-th call fails.
Or it is compiled_step, and the CALLS-th env step that programs do in pools of envpool never ends; or update, and what
never ends is the program of the update after CALLS, which makes the file that UPDATING names.
"""

import importlib
import itertools
import os
import sys
import threading
from pathlib import Path

import jax

from podmeta.architectures.sebulba import learner_thread
from podmeta.cli import main
from podmeta.environments.host.envpool_adapter import EnvpoolEnvironments


def sabotage(part: str, calls: int) -> None:
    """Replaces a method by one that fails at some call."""
    module, owner, method = part.split(".")
    place = getattr(importlib.import_module(f"podmeta.architectures.sebulba.{module}"), owner)
    sound, count = getattr(place, method), itertools.count(1)

    def fails(*arguments):
        if next(count) == calls:
            Path(os.environ["FAULT"]).touch()
            raise RuntimeError("sabotage")
        return sound(*arguments)

    setattr(place, method, fails)


def hang_in_a_program(calls: int) -> None:
    """Has an env step within a program never answer."""
    make_step, count = EnvpoolEnvironments.compiled_step, itertools.count(1)

    def answer(reward):
        if next(count) == calls:
            Path(os.environ["FAULT"]).touch()
            threading.Event().wait()
        return reward

    def hanging(environment):
        sound = make_step(environment)

        def step(timestep, actions):
            timestep = sound.step(timestep, actions)
            return timestep._replace(reward=jax.pure_callback(answer, timestep.reward, timestep.reward))

        return sound._replace(step=step)

    EnvpoolEnvironments.compiled_step = hanging


def never_finish_an_update(calls: int) -> None:
    """Replaces the update by one that never ends after some updates: XLA is at work, and nothing can interrupt it."""
    map_update = learner_thread.map_over_devices

    def note(number):
        if number == calls:
            Path(os.environ["UPDATING"]).touch()
        return number

    def map_endless(update, *arguments, **keywords):
        def endless(outer, by_actor):
            number = jax.pure_callback(note, outer.update, outer.update, vmap_method="sequential")
            zero = jax.lax.while_loop(lambda _: number == calls, lambda total: total + 1, 0)
            outer, metrics = update(outer, by_actor)
            return outer._replace(update=outer.update + zero), metrics

        return map_update(endless, *arguments, **keywords)

    learner_thread.map_over_devices = map_endless


if __name__ == "__main__":
    part, calls, *arguments = sys.argv[1:]
    if part == "compiled_step":
        hang_in_a_program(int(calls))
    elif part == "update":
        never_finish_an_update(int(calls))
    else:
        sabotage(part, int(calls))
    sys.argv[1:] = arguments
    sys.exit(main())
