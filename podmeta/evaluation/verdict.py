"""Whether a learner learns from reward: one rule, for tables, reports and experiments alike.

A learner learns from reward in a setting if, over the tasks that were tested,

- its reward rises from the first fifth of a lifetime to the last by more than a random policy's does on the same tasks
  (in some environments every policy's reward drifts);
- in the last fifth it earns more than a random policy;
- in the last fifth it earns more than the same θ does when rewards are zeroed, and
- more than the same θ does when rewards and episode starts are both zeroed: where episodes terminate, an episode
  start gives a failure away.

Every comparison is paired by task. It counts if the 95% interval of the differences lies above 0.

Two limits. Observations may give failures away too (they jump when an episode restarts), so a "no" can mean that θ
learns from what it sees. And θ never saw zeroed inputs in training, so they may harm it in other ways.
"""

from collections.abc import Mapping
from typing import NamedTuple

from podmeta.evaluation.baselines.hand_written import HAND_WRITTEN
from podmeta.evaluation.rollouts import Lifetimes, outer_fifths
from podmeta.evaluation.statistics import Interval, mean_interval

_OPPONENTS = {
    "random": "a random policy",
    "rewards_zeroed": "with rewards zeroed",
    "rewards_and_episode_starts_zeroed": "with rewards and episode starts zeroed",
}
"""What a verdict compares the learner with, by the name of the algorithm, and in words."""

MARGINS = {"gain_over_random": "gains no more than a random policy"} | {
    f"last_fifth_over_{name}": f"no better in the last fifth than {words}" for name, words in _OPPONENTS.items()
}
"""The metrics that a verdict rests on, and what it means if one is not above 0."""


OVER_HAND_WRITTEN = {"first_fifth_over_hand_written": "early", "last_fifth_over_hand_written": "late"}
"""The metrics of the margins over the best hand-written rule, and when in the lifetime each is measured."""


class Verdict(NamedTuple):
    """What the rule says in one setting.

    Attributes:
      margins: by metric of `MARGINS`, the paired interval of the differences: reward per env step.
    """

    margins: dict[str, Interval]

    @property
    def learns(self) -> bool:
        """Whether the learner learns from reward."""
        return not _shortfalls({name: margin.low for name, margin in self.margins.items()})


def judge(measured: Mapping[str, Lifetimes]) -> Verdict | None:
    """The verdict on "learner" in one setting.

    Args:
      measured: by algorithm, its lifetimes on the same tasks.

    Returns:
      The verdict; None if the learner, a random policy or a control was not tested.
    """
    if not {"learner", *_OPPONENTS} <= measured.keys():
        return None
    first, last = outer_fifths(measured["learner"])
    random_first, random_last = outer_fifths(measured["random"])
    margins = {"gain_over_random": mean_interval((last - first) - (random_last - random_first))}
    for name in _OPPONENTS:
        margins[f"last_fifth_over_{name}"] = mean_interval(last - outer_fifths(measured[name])[1])
    return Verdict(margins)


def over_hand_written(measured: Mapping[str, Lifetimes]) -> dict[str, Interval]:
    """By metric, the learner's margin over the best hand-written rule, in the first and in the last fifth.

    The best rule is the one that earns most in that fifth, over all tasks. The differences are paired by task, so an
    interval above 0 says "better", and one below 0 "worse".

    Args:
      measured: by algorithm, its lifetimes on the same tasks.

    Returns:
      The margins; none if no hand-written rule was tested.
    """
    rules = [outer_fifths(lifetimes) for name, lifetimes in measured.items() if name in HAND_WRITTEN]
    if not rules or "learner" not in measured:
        return {}
    learner = outer_fifths(measured["learner"])
    margins = {}
    for part, metric in enumerate(OVER_HAND_WRITTEN):
        best = max((rule[part] for rule in rules), key=lambda earned: float(earned.mean()))
        margins[metric] = mean_interval(learner[part] - best)
    return margins


def hand_written_in_words(margins: Mapping[str, tuple[float, float]]) -> list[str]:
    """One line that says how the learner compares with the best hand-written rule; none where none was tested.

    Args:
      margins: by metric, both ends of its interval, as in the learner's rows about one setting.
    """
    if not OVER_HAND_WRITTEN.keys() <= margins.keys():
        return []
    words = []
    for metric, when in OVER_HAND_WRITTEN.items():
        low, high = margins[metric]
        words.append(f"{'better' if low > 0 else 'worse' if high < 0 else 'no different'} {when}")
    return [f"against the best hand-written rule: {', '.join(words)}"]


def verdict_in_words(lows: Mapping[str, float]) -> str:
    """ "yes", or "no" and why; "not tested" if a margin is missing.

    Args:
      lows: by metric, the lower end of its interval, as in the learner's rows about one setting.
    """
    if not MARGINS.keys() <= lows.keys():
        return "not tested"
    shortfalls = _shortfalls(lows)
    return f"no ({'; '.join(MARGINS[name] for name in shortfalls)})" if shortfalls else "yes"


def _shortfalls(lows: Mapping[str, float]) -> list[str]:
    """The margins that are not above 0."""
    return [name for name in MARGINS if not lows[name] > 0]
