"""Environments that break dm_env's or Gymnasium's contract, each in one way, and what must be said of them."""

import ctypes
import os
import sys
import threading
import time

import dm_env
import gymnasium
import numpy as np
from dm_env import specs
from gymnasium import spaces

F, M, L = dm_env.StepType.FIRST, dm_env.StepType.MID, dm_env.StepType.LAST


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no")


def spec_of(name, seed):
    """An observation spec and an observation of it, by name."""
    sizes = {"seed": seed + 1}
    if name == "bytes":
        return specs.BoundedArray((2,), np.uint8, 0, 255), np.zeros(2, np.uint8)
    if name == "short":
        return specs.Array((2,), np.int8), np.zeros(2, np.int8)
    if name == "truths":
        return specs.Array((2,), bool), np.zeros(2, bool)
    if name == "six":
        return specs.DiscreteArray(6), 5
    if name == "parts":
        return {"a": specs.Array((), np.float32), "b": specs.Array((1,), np.float32)}, {"a": 1.0, "b": np.ones(1)}
    if name == "pair":
        return (specs.Array((), np.float32), specs.DiscreteArray(2)), (1.0, 1)
    if name == "empty":
        return {}, {}
    if name == "nothing":
        return specs.Array((0,), np.float32), np.zeros(0)
    if name == "words":
        return specs.StringArray(()), "word"
    if name == "space":
        return spaces.Box(-1, 1, (2,)), np.zeros(2)
    if name == "none":
        return None, np.zeros(2)
    size = sizes.get(name, 2)
    return specs.Array((size,), np.float32), np.zeros(size, np.float32)


ACTION_SPECS = {
    "two": specs.DiscreteArray(2),
    "none": None,
    "list": [specs.DiscreteArray(2)] * 2,
    "no_box": specs.BoundedArray((0,), np.float32, 0.0, 1.0),
    "nan_box": specs.BoundedArray((1,), np.float32, np.nan, np.nan),
    "unbounded": specs.Array((2,), np.float32),
    "many": specs.BoundedArray((4,), np.int32, 0, 9),
    "product": specs.BoundedArray((2,), np.int32, 0, 9),
    "one_of_five": specs.BoundedArray((), np.int32, 3, 7),
    "endless": specs.BoundedArray((1,), np.float32, np.inf, np.inf),
    "half": specs.BoundedArray((1,), np.float32, 0.0, np.inf),
    "vast": specs.BoundedArray((1,), np.float64, -np.finfo(np.float64).max, np.finfo(np.float64).max),
    "space": spaces.Discrete(3),
    "shifted_space": spaces.Discrete(3, start=1),
    "text_space": spaces.Text(3),
}


class UnreadableError(BaseException):
    """What no `except Exception` catches, as some test runners and asynchronous libraries raise."""


class Unreadable:
    """A value which cannot be converted to an array, and whose text cannot be had."""

    def __array__(self, *arguments, **keys):
        raise RuntimeError("no array")

    def __repr__(self):
        raise RuntimeError("no text")


class Abusive(dm_env.Environment):
    """An environment of episodes of three steps. Options replace parts of what it gives at its third env step.

    Args:
      seed: of the lifetime.
      at: the env step at which it misbehaves; 0: at its reset.
      step_type, reward, discount, observation: what it then gives instead.
      always: a step type that it gives at each step.
      spec: the name of its observation spec.
      actions: the name of its action spec; "seed" takes as many as the seed says.
      does: what it then does, such as `raise`, `exit`, `os_exit`, `unprintable`, `long`, `none` or `tuple`.
      closes: what it does in `close`: `raise`, `exit` or `os_exit`.
    """

    def __init__(self, seed=0, at=3, spec="two", actions="two", always=None, does=None, closes=None, **gives):
        self._seed, self._at, self._always, self._does, self._closes = seed, at, always, does, closes
        self._spec, self._shown = spec_of(spec, seed)
        self._actions = specs.DiscreteArray(2 + seed) if actions == "seed" else ACTION_SPECS[actions]
        self._gives, self._lived, self._step = gives, 0, 0
        if does == "exit_in_init":
            sys.exit(3)
        if does == "raise_in_init":
            raise ZeroDivisionError("in init")
        if does == "os_exit_in_init":
            os._exit(0)
        if does == "thread_in_init":
            threading.Thread(target=time.sleep, args=(600,), name="left over", daemon=False).start()

    def observation_spec(self):
        return self._spec

    def action_spec(self):
        return self._actions

    def reset(self):
        self._step = 0
        return self._altered(dm_env.restart(self._shown))

    def step(self, action):
        if isinstance(self._actions, specs.Array):
            self._actions.validate(action)
        if self._does == "change_the_action":
            action[...] = 0.0
        self._lived += 1
        if self._step == 3:
            return self.reset()
        self._step += 1
        end = dm_env.termination if self._step == 3 else dm_env.transition
        return self._altered(end(1.0, self._shown))

    def close(self):
        if self._closes == "raise" and self._lived:
            raise ZeroDivisionError("in close")
        if self._closes == "exit" and self._lived:
            sys.exit(0)
        if self._closes == "os_exit" and self._lived:
            os._exit(0)

    def _altered(self, timestep):
        if self._always is not None:
            reward = None if self._always == F else 1.0
            timestep = dm_env.TimeStep(self._always, reward, reward, self._shown)
        if self._lived != self._at:
            return timestep
        if self._does == "raise":
            raise ZeroDivisionError("in step")
        if self._does == "exit":
            sys.exit(0)
        if self._does == "unprintable":
            raise UnprintableError
        if self._does == "base_exception":
            raise UnreadableError("in step")
        if self._does == "recursion":
            return self._altered(timestep)
        if self._does == "generator":
            return (part for part in timestep)
        if self._does == "subclass":
            return type("Own", (dm_env.TimeStep,), {})(*timestep)
        if self._does == "long":
            raise ValueError("x" * 1_000_000)
        if self._does == "os_exit":
            os._exit(0)
        if self._does == "os_exit_in_a_thread":
            threading.Thread(target=os._exit, args=(0,)).start()
            time.sleep(600)
        if self._does == "crash":
            crash()
        if self._does == "none":
            return None
        if self._does == "tuple":
            return tuple(timestep)
        return timestep._replace(**self._gives)


class Hanging(Abusive):
    """Hangs in one place."""

    def __init__(self, where, **options):
        self._where = where
        self._hang("init")
        super().__init__(**options)

    def observation_spec(self):
        self._hang("spec")
        return super().observation_spec()

    def reset(self):
        self._hang("reset")
        return super().reset()

    def step(self, action):
        self._hang("step")
        return super().step(action)

    def close(self):
        self._hang("close")

    def _hang(self, where):
        if where == self._where:
            time.sleep(600)


def crash():
    """Ends the process with a segmentation fault."""
    ctypes.string_at(0)


_ONE = Abusive()


def one_for_all():
    return _ONE


class AbusiveGym(gymnasium.Env):
    """As `Abusive`, of Gymnasium: what `step` or `reset` returns is replaced in part, or as a whole by `answer`."""

    def __init__(self, observation_space=None, action_space=None, at=2, answer=None, does=None, **gives):
        self.observation_space = spaces.Box(-1, 1, (2,)) if observation_space is None else observation_space
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self._at, self._answer, self._does, self._gives, self._lived = at, answer, does, gives, 0
        if does == "exit_in_init":
            sys.exit(0)
        if does == "raise_in_init":
            raise ZeroDivisionError("in init")

    def reset(self, *, seed=None, options=None):
        if self._at == 0 and self._answer is not None:
            return self._answer
        if self._at == 0 and "observation" in self._gives:
            return self._gives["observation"], {}
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self._lived += 1
        parts = {"observation": np.zeros(2, np.float32), "reward": 1.0, "terminated": False, "truncated": False}
        if self._lived == self._at:
            if self._does == "raise":
                raise ZeroDivisionError("in step")
            if self._does == "exit":
                sys.exit(0)
            if self._does == "os_exit":
                os._exit(0)
            if self._answer is not None:
                return self._answer
            parts |= self._gives
        return (*parts.values(), {})


gymnasium.register("podmeta/Abusive-v0", AbusiveGym, order_enforce=False)
