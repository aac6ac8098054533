"""Environments that break dm_env's or Gymnasium's contract, each in one way, and what must be said of them."""

import ctypes
import os
import sys
import threading
import time
from typing import Any, NamedTuple

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
    "half": specs.BoundedArray((1,), np.float32, 0.0, np.inf),
    "vast": specs.BoundedArray((1,), np.float64, -np.finfo(np.float64).max, np.finfo(np.float64).max),
    "space": spaces.Discrete(3),
    "shifted_space": spaces.Discrete(3, start=1),
    "text_space": spaces.Text(3),
}


class Abusive(dm_env.Environment):
    """An environment of episodes of three steps. Options replace parts of what it gives at its third env step.

    Args:
      seed: of the lifetime.
      at: the env step at which it misbehaves; 0: at its reset.
      step_type, reward, discount, observation: what it then gives instead.
      always: a step type that it gives at each step.
      spec: the name of its observation spec.
      actions: the name of its action spec; "seed" takes as many as the seed says.
      does: what it then does: `raise`, `exit`, `unprintable`, `long`, `none` or `tuple`.
      closes: what it does in `close`: `raise`, `exit` or `thread`.
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
        if self._does == "long":
            raise ValueError("x" * 1_000_000)
        if self._does == "os_exit":
            os._exit(0)
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
            if self._answer is not None:
                return self._answer
            parts |= self._gives
        return (*parts.values(), {})


gymnasium.register("podmeta/Abusive-v0", AbusiveGym, order_enforce=False)


class Abuse(NamedTuple):
    """One kind of abuse.

    Attributes:
      message: a pattern of what is said; None: the environment is taken, and steps.
      options: those of `Abusive` or `AbusiveGym`.
      factory: of dm_env environments; None: it is one of Gymnasium.
    """

    message: str | None
    options: dict[str, Any]
    factory: str | None = "Abusive"


def _dm(message, factory="Abusive", **options):
    return Abuse(message, options, factory)


def _gym(message, **options):
    return Abuse(message, options, None)


NAN, INF = float("nan"), float("inf")
_DUE = "where real numbers are due"
_WHOLE = "showed {} as an observation, where its spec says an integer from 0 to {}"

KINDS = {
    # step types that make no episode
    "last_for_ever": _dm("step type of LAST from a reset, where dm_env says FIRST", always=L),
    "first_for_ever": _dm("FIRST after FIRST, where dm_env says MID or LAST", always=F),
    "mid_for_ever": _dm("MID from a reset, where dm_env says FIRST", always=M),
    "type_7": _dm("gave 7 as its step type", step_type=7),
    "type_minus_1": _dm("gave -1 as its step type", step_type=-1),
    "type_1.5": _dm("gave 1.5 as its step type", step_type=1.5),
    "type_none": _dm("gave None .* as its step type", step_type=None),
    "type_text": _dm("gave 'LAST' .* as its step type", step_type="LAST"),
    "type_nan": _dm("gave nan as its step type", step_type=NAN),
    "type_list": _dm("as its step type, where one number is due", step_type=[1, 1]),
    "type_array": _dm(None, step_type=np.array(2)),
    "type_array_of_1": _dm(None, step_type=np.array([2])),
    "first_in_an_episode": _dm("FIRST after MID", at=2, step_type=F, reward=None, discount=None),
    "last_after_last": _dm("LAST after LAST, where dm_env says FIRST", at=4, step_type=L, reward=1.0, discount=0.0),
    "mid_after_last": _dm("MID after LAST, where dm_env says FIRST", at=4, step_type=M, reward=1.0, discount=1.0),
    "no_timestep": _dm("returned None, where dm_env says a TimeStep", does="none"),
    "plain_tuple": _dm("returned .*, where dm_env says a TimeStep", does="tuple"),
    "no_timestep_at_reset": _dm("returned None, where dm_env says a TimeStep", at=0, does="none"),
    # discounts
    "discount_2": _dm("gave 2.0 as its discount, where dm_env says a number from 0 to 1", discount=2.0),
    "discount_minus_1": _dm("gave -1.0 as its discount", discount=-1.0),
    "discount_nan": _dm("gave nan as its discount", discount=NAN),
    "discount_inf": _dm("gave inf as its discount", discount=INF),
    "discount_none": _dm("gave None .* as its discount", discount=None),
    "discount_none_at_mid": _dm("gave None .* as its discount", at=2, discount=None),
    "discount_text": _dm(f"gave '1' .* as its discount, {_DUE}", discount="1"),
    "discount_of_two": _dm("as its discount, where one number is due", discount=np.ones(2)),
    "fraction_at_last": _dm("gave 0.5 as its discount at LAST", discount=0.5),
    "fraction_at_mid": _dm(None, at=2, discount=0.5),
    "discount_of_shape_1": _dm(None, discount=np.zeros(1)),
    "discount_true": _dm(None, discount=True),
    "discount_0_at_first": _dm("gave 0.0 as its discount at FIRST", at=0, discount=0.0),
    # rewards
    "reward_nan": _dm("gave nan as its reward", reward=NAN),
    "reward_inf": _dm("gave inf as its reward", reward=INF),
    "reward_1e30": _dm(r"gave 1e\+30 as its reward", reward=1e30),
    "reward_minus_1e300": _dm(r"gave -1e\+300 as its reward", reward=-1e300),
    "reward_huge_integer": _dm("as its reward", reward=10**400),
    "reward_none": _dm("gave None .* as its reward", reward=None),
    "reward_text": _dm(f"gave '1.5' .* as its reward, {_DUE}", reward="1.5"),
    "reward_bytes": _dm("as its reward", reward=b"1"),
    "reward_complex": _dm("as its reward", reward=1j),
    "reward_dict": _dm("as its reward", reward={"a": 1.0}),
    "reward_empty": _dm("as its reward, where one number is due", reward=[]),
    "reward_of_two": _dm("as its reward, where one number is due", reward=np.ones(2)),
    "reward_ragged": _dm("as its reward, of which no array can be made", reward=[[1.0], [1.0, 2.0]]),
    "reward_of_shape_1_1": _dm("as its reward, where one number is due", reward=np.ones((1, 1))),
    "reward_of_shape_1": _dm(None, reward=np.ones(1)),
    "reward_integer": _dm(None, reward=3),
    "reward_bool": _dm(None, reward=np.True_),
    "reward_at_first": _dm("gave 1.0 as its reward at FIRST", at=0, reward=1.0),
    "reward_nan_at_first": _dm("gave nan as its reward at FIRST", at=0, reward=NAN),
    "reward_0_at_first": _dm(None, at=0, reward=0.0, discount=1.0),
    # values that the dtype cannot hold
    "byte_300": _dm(_WHOLE.format(300, 255), spec="bytes", observation=[300, 0]),
    "byte_minus_1": _dm(_WHOLE.format(-1, 255), spec="bytes", observation=[-1, 0]),
    "byte_0.7": _dm(_WHOLE.format(0.7, 255), spec="bytes", observation=[0.7, 0]),
    "byte_nan": _dm(_WHOLE.format(NAN, 255), spec="bytes", observation=[NAN, 0]),
    "byte_7.0": _dm(None, spec="bytes", observation=[7.0, 0.0]),
    "discrete_7": _dm(_WHOLE.format(7, 5), spec="six", observation=7),
    "discrete_minus_1": _dm(_WHOLE.format(-1, 5), spec="six", observation=-1),
    "discrete_1.5": _dm(_WHOLE.format(1.5, 5), spec="six", observation=1.5),
    "discrete_nan": _dm(_WHOLE.format(NAN, 5), spec="six", observation=NAN),
    "discrete_text": _dm(_DUE, spec="six", observation="5"),
    "discrete_one_hot": _dm(r"shape \(6,\), where its spec says \(\)", spec="six", observation=np.eye(6)[0]),
    "observation_complex": _dm(f"complex128.*{_DUE}", observation=[1j, 0]),
    "observation_text": _dm(_DUE, observation=["1", "2"]),
    "observation_bytes": _dm(_DUE, observation=[b"1", b"2"]),
    "observation_none": _dm(_DUE, observation=None),
    "observation_objects": _dm(_DUE, observation=[None, 1.0]),
    "observation_dates": _dm(_DUE, observation=np.zeros(2, "datetime64[s]")),
    "observation_ragged": _dm("of which no array can be made", observation=[[1.0], [1.0, 2.0]]),
    "observation_nan": _dm("gave nan as its observation, component 1", observation=[0.0, NAN]),
    "observation_inf": _dm("gave inf as its observation, component 0", observation=[INF, 0.0]),
    "observation_beyond_float32": _dm("gave inf as its observation", observation=[1e300, 0.0]),
    "observation_large": _dm(None, observation=[1e30, 0.0]),
    "observation_of_three": _dm(r"shape \(3,\), where its spec says \(2,\)", observation=np.zeros(3)),
    "observation_of_shape_1_2": _dm(r"shape \(1, 2\), where its spec says", observation=np.zeros((1, 2))),
    "observation_a_number": _dm(r"shape \(\), where its spec says", observation=0.0),
    "observation_a_list": _dm(None, observation=[0, 1]),
    "dict_lacks_a_key": _dm(r"showed \['a'\] as its observation", spec="parts", observation={"a": 1.0}),
    "dict_has_another_key": _dm(
        r"its spec has \['a', 'b'\]", spec="parts", observation={"a": 1.0, "b": np.ones(1), "c": 1}
    ),
    "dict_is_an_array": _dm(r"its spec has \['a', 'b'\]", spec="parts", observation=np.zeros(2)),
    "tuple_is_short": _dm("its spec has 2 parts", spec="pair", observation=(1.0,)),
    "tuple_is_a_number": _dm("its spec has 2 parts", spec="pair", observation=1.0),
    # specs
    "observation_size_by_seed": _dm(r"has observations of .*\(2,\).*, where those of the batch are", spec="seed"),
    "number_of_actions_by_seed": _dm("takes actions of .*, where the batch takes", actions="seed"),
    "one_object_for_all": _dm("is the same object as environment 0", factory="one_for_all"),
    "observation_spec_none": _dm("has observations of None", spec="none"),
    "observation_spec_empty": _dm("no component: show a constant 1", spec="empty"),
    "observation_spec_of_size_0": _dm("no component: show a constant 1", spec="nothing"),
    "observation_spec_of_words": _dm("has observations of StringArray", spec="words"),
    "observation_spec_a_space": _dm(None, spec="space"),
    "action_spec_none": _dm("takes actions of None", actions="none"),
    "action_spec_a_list": _dm("takes actions of ", actions="list"),
    "action_spec_of_size_0": _dm(r"takes actions of shape \(0,\), and so has none", actions="no_box"),
    "action_spec_nan": _dm("among whose bounds is a NaN", actions="nan_box"),
    "action_spec_without_bounds": _dm("takes actions of Array", actions="unbounded"),
    "action_spec_of_10000": _dm("10,000 combinations: podmeta takes at most 1,000", actions="many"),
    "action_spec_of_100": _dm(None, actions="product"),
    "action_spec_half_bounded": _dm(None, actions="half"),
    "action_spec_vast": _dm(None, actions="vast"),
    "action_spec_a_space": _dm(None, actions="space"),
    "action_spec_a_shifted_space": _dm("does not count from 0", actions="shifted_space"),
    "action_spec_a_space_of_text": _dm("takes actions of the space Text", actions="text_space"),
    # what it does
    "raises_in_init": _dm("factory=.* failed: ZeroDivisionError: in init", does="raise_in_init"),
    "exits_in_init": _dm(r"factory=.* failed: it called sys.exit\(3\)", does="exit_in_init"),
    "raises_in_step": _dm("failed:\n(?s:.*)ZeroDivisionError: in step", does="raise"),
    "raises_in_reset": _dm("failed:\n(?s:.*)ZeroDivisionError: in step", at=0, does="raise"),
    "exits_in_step": _dm(r"failed: it called sys.exit\(0\)", does="exit"),
    "exits_in_reset": _dm(r"failed: it called sys.exit\(0\)", at=0, does="exit"),
    "raises_what_cannot_be_shown": _dm("failed:\n(?s:.*)UnprintableError", does="unprintable"),
    "raises_1_MB": _dm(r"failed:\n(?s:.*)x \[… 99\d,\d\d\d characters …\] x", does="long"),
    "raises_in_close": _dm("failed when it was closed: ZeroDivisionError: in close$", closes="raise"),
    "exits_in_close": _dm(r"failed when it was closed: it called sys.exit\(0\)$", closes="exit"),
    # Gymnasium
    "gym_old_step": _gym("from step, where Gymnasium says", answer=(np.zeros(2), 1.0, False, {})),
    "gym_old_reset": _gym("from reset, where Gymnasium says", at=0, answer=np.zeros(2)),
    "gym_none_from_step": _gym("from step, where Gymnasium says", answer=0),
    "gym_info_is_no_dict": _gym("from reset, where Gymnasium says", at=0, answer=(np.zeros(2), 1)),
    "gym_reward_text": _gym("gave '1' .* as its reward", reward="1"),
    "gym_reward_none": _gym("gave None .* as its reward", reward=None),
    "gym_reward_nan": _gym("gave nan as its reward", reward=NAN),
    "gym_reward_1e30": _gym("gave 1e.30 as its reward", reward=1e30),
    "gym_reward_of_shape_1": _gym(None, reward=np.ones(1)),
    "gym_reward_of_two": _gym("as its reward, where one number is due", reward=np.ones(2)),
    "gym_terminated_none": _gym("gave None .* as its terminated", terminated=None),
    "gym_terminated_text": _gym("gave 'no' .* as its terminated", terminated="no"),
    "gym_truncated_2": _gym("gave 2 as its truncated, where Gymnasium says True or False", truncated=2),
    "gym_truncated_nan": _gym("gave nan as its truncated", truncated=NAN),
    "gym_truncated_1": _gym(None, truncated=1),
    "gym_observation_nan": _gym("gave nan as its observation", observation=np.array([NAN, 0.0])),
    "gym_observation_nan_at_reset": _gym("at env step 0.*gave nan as its", at=0, observation=np.array([NAN, 0.0])),
    "gym_observation_text": _gym(_DUE, observation="ab"),
    "gym_observation_of_three": _gym(r"shape \(3,\)", observation=np.zeros(3)),
    "gym_raises_in_init": _gym("gymnasium cannot make .* ZeroDivisionError: in init", does="raise_in_init"),
    "gym_exits_in_init": _gym(r"gymnasium cannot make .* it called sys.exit\(0\)", does="exit_in_init"),
    "gym_raises_in_step": _gym("failed:\n(?s:.*)ZeroDivisionError: in step", does="raise"),
    "gym_exits_in_step": _gym(r"failed: it called sys.exit\(0\)", does="exit"),
    "gym_multi_discrete": _gym(None, action_space=spaces.MultiDiscrete([3, 4])),
    "gym_multi_discrete_of_10000": _gym("10,000 combinations", action_space=spaces.MultiDiscrete([100, 100])),
    "gym_multi_binary": _gym(None, action_space=spaces.MultiBinary(4)),
    "gym_half_bounded": _gym(None, action_space=spaces.Box(0, np.inf, (1,))),
    "gym_actions_of_text": _gym("takes actions of the space Text", action_space=spaces.Text(3)),
    "gym_actions_of_size_0": _gym("has none to choose from", action_space=spaces.Box(0, 1, (0,))),
    "gym_observations_of_text": _gym("has observations of the space Text", observation_space=spaces.Text(3)),
    "gym_observations_empty": _gym("no component", observation_space=spaces.Dict({})),
    "gym_observations_from_1": _gym(
        "observations of the space Discrete", observation_space=spaces.Discrete(3, start=1)
    ),
}
