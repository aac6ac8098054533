"""The rule for whether a learner learns from reward, for tables, reports and experiments.

A learner learns from reward in a setting if, over the tasks that were tested,

- its reward rises from the first fifth of a lifetime to the last by more than a random policy's does on the same tasks
  (in some environments every policy's reward drifts);
- in the last fifth it earns more than a random policy;
- in the last fifth it earns more than the same θ does when rewards are zeroed, and
- more than the same θ does when rewards and episode starts are both zeroed: where episodes terminate, an episode
  start gives a failure away.

If they were tested, it must also earn more than alternating actions, and than the same θ with observations zeroed
(except in bandits, which have no observations).

Every comparison is paired by task. It counts if the 95% interval of the differences lies above 0.

Two limits. Observations may reveal failures too (they jump when an episode restarts), so a "no" can mean that θ learns
from observations. And θ never saw zeroed inputs in training, so they may harm it in other ways.
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
"""The algorithms that every verdict compares the learner with, and their descriptions."""

_FURTHER_OPPONENTS = {"alternation": "alternation", "observations_zeroed": "with observations zeroed"}
"""Further algorithms, which count if they were tested."""


def _margins_over(opponents: Mapping[str, str]) -> dict[str, str]:
    return {f"last_fifth_over_{name}": f"no better in the last fifth than {words}" for name, words in opponents.items()}


MARGINS = {"gain_over_random": "gains no more than a random policy"} | _margins_over(_OPPONENTS)
"""The metrics that every verdict rests on, and what it means if one is not above 0."""

FURTHER_MARGINS = _margins_over(_FURTHER_OPPONENTS)
"""The same of those that count where they were tested."""

OVER_HAND_WRITTEN = {"first_fifth_over_hand_written": "early", "last_fifth_over_hand_written": "late"}
"""The metrics of the margins over the best hand-written rule, and when in the lifetime each is measured."""

BASE_ALONE = "lstms_zeroed"
"""The algorithm that is the same θ with its LSTMs silenced, so that its hand-written base alone acts."""

OVER_BASE = {f"first_fifth_over_{BASE_ALONE}": "early", f"last_fifth_over_{BASE_ALONE}": "late"}
"""The metrics of the margins over it, and when in the lifetime each is measured."""

EARLY_FROM_REWARD = "first_fifth_over_rewards_zeroed"
"""The metric that says whether what the learner earns early is learned from reward: if not above 0, it is innate."""


class Verdict(NamedTuple):
    """What the rule says in one setting.

    Attributes:
      margins: by metric of `MARGINS` and `FURTHER_MARGINS`, the paired interval of the differences in reward per env
        step.
    """

    margins: dict[str, Interval]

    @property
    def learns(self) -> bool:
        """Whether the learner learns from reward."""
        return not _shortfalls({name: margin.low for name, margin in self.margins.items()})


def judge(measured: Mapping[str, Lifetimes], observations_matter: bool = True) -> Verdict | None:
    """The verdict on "learner" in one setting.

    Args:
      measured: by algorithm, its lifetimes on the same tasks.
      observations_matter: whether the environment shows anything, so that zeroing observations could do harm.

    Returns:
      The verdict; None if the learner, a random policy or a control was not tested.
    """
    if not {"learner", *_OPPONENTS} <= measured.keys():
        return None
    further = [
        name for name in _FURTHER_OPPONENTS if name in measured and (observations_matter or "observations" not in name)
    ]
    first, last = outer_fifths(measured["learner"])
    random_first, random_last = outer_fifths(measured["random"])
    margins = {"gain_over_random": mean_interval((last - first) - (random_last - random_first))}
    for name in (*_OPPONENTS, *further):
        margins[f"last_fifth_over_{name}"] = mean_interval(last - outer_fifths(measured[name])[1])
    return Verdict(margins)


def further_margins(measured: Mapping[str, Lifetimes]) -> dict[str, Interval]:
    """By metric, paired margins of the learner that no verdict rests on, as far as their opponents were tested.

    Those over the best hand-written rule and over its own base alone, early and late, and early over itself with
    rewards zeroed.
    """
    margins = over_hand_written(measured)
    if "learner" not in measured:
        return margins
    learner = outer_fifths(measured["learner"])
    if BASE_ALONE in measured:
        base = outer_fifths(measured[BASE_ALONE])
        margins |= {metric: mean_interval(learner[part] - base[part]) for part, metric in enumerate(OVER_BASE)}
    if "rewards_zeroed" in measured:
        margins[EARLY_FROM_REWARD] = mean_interval(learner[0] - outer_fifths(measured["rewards_zeroed"])[0])
    return margins


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


def margins_in_words(margins: Mapping[str, tuple[float, float]]) -> list[str]:
    """Lines that say how the learner compares with the best hand-written rule and with its own base, where tested.

    Args:
      margins: by metric, both ends of its interval, as in the learner's rows about one setting.
    """
    lines = []
    for opponent, metrics in (("the best hand-written rule", OVER_HAND_WRITTEN), ("its base alone", OVER_BASE)):
        if metrics.keys() <= margins.keys():
            words = ", ".join(f"{_side(*margins[metric])} {when}" for metric, when in metrics.items())
            lines.append(f"against {opponent}: {words}")
    is_ahead = any(when == "early" and margins.get(name, (0, 0))[0] > 0 for name, when in _OPPOSED.items())
    if is_ahead and EARLY_FROM_REWARD in margins and not margins[EARLY_FROM_REWARD][0] > 0:
        lines.append("what it earns early is innate: it earns as much with rewards zeroed")
    return lines


_OPPOSED = OVER_HAND_WRITTEN | OVER_BASE


def _side(low: float, high: float) -> str:
    return "better" if low > 0 else "worse" if high < 0 else "no different"


def verdict_in_words(lows: Mapping[str, float]) -> str:
    """ "yes", or "no" and why; "not tested" if a margin is missing.

    Args:
      lows: by metric, the lower end of its interval, as in the learner's rows about one setting.
    """
    if not MARGINS.keys() <= lows.keys():
        return "not tested"
    shortfalls = _shortfalls(lows)
    return f"no ({'; '.join((MARGINS | FURTHER_MARGINS)[name] for name in shortfalls)})" if shortfalls else "yes"


def _shortfalls(lows: Mapping[str, float]) -> list[str]:
    """The margins that are not above 0."""
    return [name for name in (*MARGINS, *FURTHER_MARGINS) if name in lows and not lows[name] > 0]
