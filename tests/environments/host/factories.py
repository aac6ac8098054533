"""Factories of dm_env environments that the tests name in configs, as a user would."""

import functools
import os
import time
from pathlib import Path

import dm_env
import numpy as np
from dm_env import specs


class Script(dm_env.Environment):
    """Shows [seed, step of the episode, last action]; ends after `length` steps, truncated where `seed` is odd.

    At the `strike`-th env step of its life something happens: `raise`, `exit`, `hang`, `grow`, `nan` or `infinite`; or
    `raise_meanwhile`, once there is the file that the variable UPDATING names. With `strike=0`, its first reset hangs.
    Once it has stepped, it takes `close_s` seconds to close.
    """

    def __init__(self, seed=0, length=3, strike=-1, how="raise", close_s=0.0):
        self._seed, self._length, self._strike, self._how = seed, length, strike, how
        self._close_s = close_s
        self._lived = 0
        self._ended = True

    def observation_spec(self):
        return {
            "seed": specs.Array((), np.float64),
            "rest": specs.BoundedArray((2,), np.float64, minimum=0.0, maximum=[np.inf, 4.0]),
        }

    def action_spec(self):
        return specs.DiscreteArray(5)

    def reset(self):
        if self._strike == 0:
            time.sleep(600)
        self._ended, self._step = False, 0
        return dm_env.restart(self._observe(0))

    def step(self, action):
        self._lived += 1
        if self._lived == self._strike:
            return self._misbehave()
        if self._ended:
            return self.reset()
        self._step += 1
        self._ended = self._step == self._length
        observation = self._observe(action)
        if not self._ended:
            return dm_env.transition(float(self._step), observation)
        end = dm_env.truncation if self._seed % 2 else dm_env.termination
        return end(float(self._step), observation)

    def close(self):
        time.sleep(self._close_s if self._lived else 0.0)

    def _observe(self, action):
        return {"seed": float(self._seed), "rest": np.array([self._step, action], float)}

    def _misbehave(self):
        while self._how == "raise_meanwhile" and not Path(os.environ["UPDATING"]).exists():
            time.sleep(0.01)
        if "FAULT" in os.environ:  # where an end-to-end test wants to know when
            Path(os.environ["FAULT"]).touch()
        if self._how in ("raise", "raise_meanwhile"):
            raise ZeroDivisionError("the script says so")
        if self._how == "exit":
            os._exit(7)
        if self._how == "hang":
            time.sleep(600)
        if self._how == "infinite":
            return dm_env.transition(-np.inf, self._observe(0))
        rest = np.zeros(3) if self._how == "grow" else np.array([0.0, np.nan])
        return dm_env.transition(0.0, {"seed": 0.0, "rest": rest})


class Reluctant(Script):
    """Does not start."""

    def reset(self):
        raise RuntimeError("not today")


class Box(dm_env.Environment):
    """Shows a picture of bytes, and pays the sum of what it is given."""

    def observation_spec(self):
        return specs.BoundedArray((2, 3), np.uint8, minimum=0, maximum=255)

    def action_spec(self):
        return specs.BoundedArray((2, 2), np.float64, minimum=-1.0, maximum=1.0)

    def reset(self):
        return dm_env.restart(np.full((2, 3), 255, np.uint8))

    def step(self, action):
        assert action.shape == (2, 2) and action.dtype == np.float64
        return dm_env.transition(float(action.sum()), np.arange(6, dtype=np.uint8).reshape(2, 3))


class Unspecified(Box):
    """Does not say what it shows."""

    def observation_spec(self):
        raise NotImplementedError("no spec")


def seedless():
    return Script(seed=12)


def gymnax_cart_pole(seed):
    """The project's own CartPole, played through dm_env."""
    from podmeta.environments.bridge.as_dm_env import DmEnvAdapter

    return DmEnvAdapter(_gymnax("CartPole-v1"), seed)


@functools.cache
def _gymnax(id):
    from podmeta.environments.jax.gymnax_adapter import GymnaxEnvironment

    return GymnaxEnvironment(id, {})


def not_an_environment():
    return "environment"


def nothing():
    return None


NOT_CALLABLE = 3


CLOSED: list[int] = []
"""The numbers of the environments of `Counted` that were closed."""


class Counted(Script):
    """Notes that it is closed. The third one cannot be made."""

    made = 0

    def __init__(self, third: str = "fails") -> None:
        super().__init__()
        self._number, self._third = Counted.made % 3, third
        Counted.made += 1
        if self._number == 2 and third == "fails":
            raise ValueError("no third")

    def observation_spec(self):
        if self._number == 2:
            raise ValueError("no spec")
        return super().observation_spec()

    def close(self):
        CLOSED.append(self._number)
