"""Checks of dm_env's contract: an environment returns a valid time step, or an error says what it returned instead.

Host environments and agents use the same checks. Checks of single time steps are plain Python, because one array
operation takes longer than all of them together. Checks of whole batches are a few NumPy operations.
"""

import traceback
from collections.abc import Sequence
from typing import Any

import dm_env
import numpy as np
from jaxtyping import Bool, Int, Shaped

from podmeta.errors import PodmetaError
from podmeta.exits import exit_in_words

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
LARGEST_REWARD = 1e15
"""Above it, the sum of a lifetime's squared rewards may overflow float32."""

_MID, _LAST = dm_env.StepType.MID, dm_env.StepType.LAST
_TimeStep, _SMALLEST_REWARD = dm_env.TimeStep, -LARGEST_REWARD  # looked up for every row
_STEP_TYPES = {FIRST: FIRST, MID: MID, LAST: LAST}
_NAMES = ("FIRST", "MID", "LAST")
_LONGEST_VALUE, _LONGEST_ERROR = 80, 4000  # characters of a value and of an error that a message shows


class ContractError(PodmetaError):
    """An environment broke dm_env's contract. The message says what it did, such as "gave nan as its reward"."""


class FaultyEnvironmentError(Exception):
    """One environment of a batch failed. `Checked` turns it into a PodmetaError with the batch's name and the env step.

    Attributes:
      index: the environment's place in the batch.
      what: what happened, such as "gave nan as its reward", with a traceback if there is one.
    """

    def __init__(self, index: int, what: str):
        super().__init__(index, what)
        self.index = index
        self.what = what


Scalars = tuple[int, float, float]
"""The step type, reward (0 at FIRST) and discount (1 at FIRST; 0 or 1 at LAST) of a time step."""


def checked_scalars(timestep: object) -> Scalars:
    """The step type, reward and discount of a time step.

    Raises:
      ContractError: it is not a time step, or one of them breaks the contract.
    """
    if type(timestep) is _TimeStep:
        step_type, reward, discount, _ = timestep
        # What most time steps are like, first: a Python environment has one for every row.
        if type(reward) is float and _SMALLEST_REWARD <= reward <= LARGEST_REWARD and type(discount) is float:
            if step_type is _MID and 0.0 <= discount <= 1.0:
                return MID, reward, discount
            if step_type is _LAST and discount in (0.0, 1.0):
                return LAST, reward, discount
    return _checked_scalars(timestep)


def _checked_scalars(timestep: Any) -> Scalars:
    try:
        given_type, reward, discount, _ = timestep.step_type, timestep.reward, timestep.discount, timestep.observation
    except AttributeError as error:
        raise ContractError(f"returned {shown(timestep)}, but dm_env requires a TimeStep") from error
    try:
        step_type = _STEP_TYPES[given_type]
    except (KeyError, TypeError):
        step_type = _unusual_step_type(given_type)
    if step_type == FIRST:
        if reward is not None and number("reward", reward) != 0.0:
            raise ContractError(f"gave {shown(reward)} as its reward at FIRST, but dm_env requires None (or 0)")
        if discount is not None and number("discount", discount) != 1.0:
            raise ContractError(f"gave {shown(discount)} as its discount at FIRST, but dm_env requires None (or 1)")
        return FIRST, 0.0, 1.0
    reward, discount = number("reward", reward), number("discount", discount)
    if not -LARGEST_REWARD <= reward <= LARGEST_REWARD:
        raise ContractError(_large_reward(reward))
    if not 0.0 <= discount <= 1.0:
        raise ContractError(f"gave {discount!r} as its discount, but dm_env requires a number from 0 to 1")
    if step_type == LAST and 0.0 < discount < 1.0:
        raise ContractError(
            f"gave {discount!r} as its discount at LAST, but only 0 (terminated) or 1 (truncated) is allowed there"
        )
    return step_type, reward, discount


def number(what: str, value: object) -> float:
    """The real number in a value, which may be an array of shape () or (1,).

    Args:
      what: what messages call it, such as "reward".
      value: the value.

    Raises:
      ContractError: it is anything else, such as text, None, or several numbers.
    """
    array = real_array(what, value)
    if array.shape not in ((), (1,)):
        raise ContractError(f"gave {shown(value)} of shape {array.shape} as its {what}, but one number is required")
    return float(array.reshape(()))


def real_array(what: str, value: object) -> Shaped[np.ndarray, "..."]:
    """An array of a value that holds real numbers or truth values.

    Args:
      what: what messages call it, such as "observation".
      value: the value.

    Raises:
      ContractError: it holds anything else, such as text, bytes, None or complex numbers, or is ragged.
    """
    try:
        array = np.asarray(value)
    except Exception as error:  # an object's __array__ may raise anything
        raise ContractError(f"gave {shown(value)} as its {what}, which cannot be converted to an array") from error
    if array.dtype.kind not in "fiub":
        raise ContractError(f"gave {shown(value)} (dtype {array.dtype}) as its {what}, but real numbers are required")
    return array


def check_follows(step_type: int, previous: int | None, may_reset: bool = False) -> None:
    """Checks that a time step may follow another.

    Args:
      step_type: of the time step.
      previous: of the previous one; None: a lifetime begins.
      may_reset: whether the environment may have been reset in the middle of an episode.

    Raises:
      ContractError: it may not.
    """
    starts = previous is None or previous == LAST
    if (step_type == FIRST) == starts or (may_reset and step_type == FIRST and previous == MID):
        return
    raise ContractError(_wrong_order(step_type, previous))


def check_order(
    step_type: Int[np.ndarray, "B"], previous: Int[np.ndarray, "B"], ended: Bool[np.ndarray, "B"]
) -> Bool[np.ndarray, "B"]:
    """Checks that the time steps of a batch may follow the previous ones: FIRST after LAST, and nowhere else.

    Args:
      step_type: of the time steps.
      previous: of the previous ones.
      ended: whether those were LAST.

    Returns:
      Whether the time steps are LAST.

    Raises:
      FaultyEnvironmentError: one of them may not follow.
    """
    first = step_type == FIRST
    if first.tobytes() != ended.tobytes():  # much quicker than to compare arrays
        index = int(np.argmax(first != ended))
        raise FaultyEnvironmentError(index, _wrong_order(int(step_type[index]), int(previous[index])))
    return step_type == LAST


def check_starts(step_type: Int[np.ndarray, "B"], starts: Bool[np.ndarray, "B"]) -> None:
    """Checks that every lifetime of `starts` begins with FIRST.

    Raises:
      FaultyEnvironmentError: one does not.
    """
    wrong = starts & (step_type != FIRST)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise FaultyEnvironmentError(index, _wrong_order(int(step_type[index]), None))


def check_numbers(timestep: dm_env.TimeStep) -> None:
    """Checks that observations of a batch are finite, and its rewards at most `LARGEST_REWARD` in magnitude.

    Raises:
      FaultyEnvironmentError: one is not.
    """
    observation, reward = timestep.observation, timestep.reward
    # A sum of squares is one call. It may overflow where every number is finite, so then they are looked at.
    if observation.dtype != np.uint8 and not np.vdot(observation, observation) < np.inf:
        flat = observation.reshape(len(observation), -1)
        wrong = np.argwhere(~np.isfinite(flat))
        if wrong.size:
            index, component = wrong[0]
            where = f", component {component}" if flat.shape[1] > 1 else ""
            raise FaultyEnvironmentError(int(index), f"gave {flat[index, component]} as its observation{where}")
    if not np.vdot(reward, reward) <= LARGEST_REWARD:
        within = np.abs(reward) <= LARGEST_REWARD  # False for a NaN
        if not within.all():
            index = int(np.argmin(within))
            raise FaultyEnvironmentError(index, _large_reward(reward[index]))


def check_distinct(environments: Sequence[object]) -> None:
    """Checks that no environment occurs twice in a batch.

    Raises:
      FaultyEnvironmentError: two are the same object, so that their episodes would interleave.
    """
    seen: dict[int, int] = {}
    for index, environment in enumerate(environments):
        other = seen.setdefault(id(environment), index)
        if other != index:
            raise FaultyEnvironmentError(
                index, f"is the same object as environment {other}: each place in the batch needs a new one"
            )


def shown(value: object) -> str:
    """A value in one short line, for messages."""
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return cut(" ".join(text.split()), _LONGEST_VALUE)


def cut(text: str, longest: int = _LONGEST_ERROR) -> str:
    """A text, without its middle if it is longer than `longest` characters."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [… {len(text) - 2 * half:,} characters …] {text[-half:]}"


def trace_of(error: BaseException) -> str:
    """The traceback of an error, shortened if it is very long."""
    return cut("".join(traceback.format_exception(error)))


def in_words(error: BaseException) -> str:
    """An error in one line: its class and message, shortened if it is very long."""
    if isinstance(error, SystemExit):
        return cut(exit_in_words(error), _LONGEST_VALUE)
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    return cut(" ".join(f"{type(error).__name__}: {message}".split()), 10 * _LONGEST_VALUE)


def _unusual_step_type(given: Any) -> int:
    """A step type that cannot be looked up, such as an array of one."""
    value = number("step type", given)
    if value not in _STEP_TYPES:
        raise ContractError(f"gave {shown(given)} as its step type, but dm_env has FIRST (0), MID (1) and LAST (2)")
    return int(value)


def _large_reward(reward: Any) -> str:
    return (
        f"gave {float(reward)!r} as its reward, but a number from {-LARGEST_REWARD:g} to {LARGEST_REWARD:g} is required"
    )


def _wrong_order(step_type: int, previous: int | None) -> str:
    after = "from a reset" if previous is None else f"after {_NAMES[previous]}"
    rule = "FIRST" if previous is None or previous == LAST else "MID or LAST"
    return f"gave a step type of {_NAMES[step_type]} {after}, but dm_env requires {rule}"
