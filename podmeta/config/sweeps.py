"""The jobs that a command line with several values for a key stands for."""

import itertools
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import OverrideParseException

from podmeta.config.messages import explain_overrides
from podmeta.config.paths import PATH_KEYS
from podmeta.errors import InputError


def expand_sweep(overrides: list[str]) -> list[list[str]]:
    """Every combination of the values swept over, as the overrides of one job each; the last key changes fastest.

    Hydra's forms are understood: seed=0,1,2 and seed=range(0,3), learner=symmetric,recurrent. A path with a comma is
    one value, except for init_from.

    Raises:
      InputError: an override cannot be read, or none has several values.
    """
    choices = [_choices_of(override) for override in overrides]
    if all(len(values) == 1 for values in choices):
        raise InputError("--multirun needs a key with several values, such as seed=0,1,2")
    return [list(combination) for combination in itertools.product(*choices)]


class Interval(NamedTuple):
    """The numbers that a key may have.

    Attributes:
      low, high: the smallest and the largest.
      is_integer: whether they are whole numbers.
      is_log: whether their logarithms are sampled.
      step: between whole numbers.
    """

    low: float
    high: float
    is_integer: bool
    is_log: bool
    step: int = 1

    def __str__(self) -> str:
        """The interval in Hydra's form; `step` stands in words."""
        text = f"interval({self.text(self.low)},{self.text(self.high)})"
        text = f"int({text})" if self.is_integer else text
        return (f"tag(log,{text})" if self.is_log else text) + (f" in steps of {self.step}" if self.step > 1 else "")

    def text(self, value: float) -> str:
        """A number as the value of an override."""
        return str(int(value)) if self.is_integer else repr(float(value))


class SearchSpace(NamedTuple):
    """What a command line leaves to a sampler.

    Attributes:
      fixed: the overrides with one value.
      keys: what each of the other keys may be: a number, or one of several texts.
    """

    fixed: list[str]
    keys: dict[str, Interval | tuple[str, ...]]

    def described(self) -> dict[str, str]:
        """What every key may be, in words of one line."""
        return {key: str(v) if isinstance(v, Interval) else ",".join(v) for key, v in self.keys.items()}

    def extremes(self) -> list[list[str]]:
        """The overrides of the jobs in which one key has each of its texts, or its smallest and its largest number."""
        ends = {
            key: [values.text(values.low), values.text(values.high)] if isinstance(values, Interval) else list(values)
            for key, values in self.keys.items()
        }
        first = {key: texts[0] for key, texts in ends.items()}
        return [
            [*self.fixed, *(f"{name}={value}" for name, value in (first | {key: text}).items())]
            for key, texts in ends.items()
            for text in texts
        ]


def search_space(overrides: list[str]) -> SearchSpace:
    """What a sampler chooses from, in Hydra's forms.

    outer.learning_rate=interval(0.001,0.1) is any number between, and with tag(log,interval(0.001,0.1)) its logarithm
    is sampled. int(interval(1,8)) and range(1,9) are whole numbers, and learner=symmetric,recurrent one of two texts.

    Raises:
      InputError: an override cannot be read, an interval is none, or all have one value.
    """
    fixed: list[str] = []
    keys: dict[str, Interval | tuple[str, ...]] = {}
    for override in overrides:
        parsed = _parsed_sweep(override)
        if parsed is None:
            fixed.append(override)
        else:
            keys[parsed.get_key_element()] = _values_of(parsed, override)
    if not keys:
        raise InputError("--trials needs a key to search over, such as outer.learning_rate=interval(0.001,0.1)")
    return SearchSpace(fixed, keys)


def _values_of(parsed: Override, override: str) -> Interval | tuple[str, ...]:
    sweep = parsed.value()
    is_log = isinstance(sweep, ChoiceSweep | IntervalSweep | RangeSweep) and "log" in sweep.tags
    if isinstance(sweep, IntervalSweep):
        low, high = sweep.start, sweep.end
        if low is None or high is None or not low < high or (is_log and low <= 0):
            above = " and of positive numbers" if is_log else ""
            raise InputError(f"{override}: an interval goes from a smaller to a larger number{above}")
        return Interval(low, high, isinstance(low, int) and isinstance(high, int), is_log)
    texts = tuple(parsed.sweep_string_iterator())
    if isinstance(sweep, RangeSweep) and not sweep.shuffle and all(text.lstrip("-").isdecimal() for text in texts):
        step = abs(int(texts[1]) - int(texts[0])) if len(texts) > 1 else 1
        low, high = sorted((int(texts[0]), int(texts[-1])))
        return Interval(low, high, is_integer=True, is_log=False, step=step)
    return texts


def _choices_of(override: str) -> list[str]:
    """The overrides that one of a sweep stands for, each with one value."""
    parsed = _parsed_sweep(override)
    if parsed is None:
        return [override]
    if isinstance(parsed.value(), IntervalSweep):
        raise InputError(f"{override} has no end of values: with --trials N, a sampler chooses N of them")
    return [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]


def _parsed_sweep(override: str) -> Override | None:
    """An override with several values; None if it has one."""
    key = override.partition("=")[0]
    if key in PATH_KEYS and key != "init_from":
        return None
    try:
        parsed = OverridesParser.create().parse_overrides([override])[0]
    except OverrideParseException as error:
        if key in PATH_KEYS:
            return None
        raise InputError(explain_overrides(error, [override])) from error
    return parsed if parsed.is_sweep_override() else None
