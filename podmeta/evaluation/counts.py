"""Counts in how many settings of a suite a learner learns from reward, and beats its baselines."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.evaluation.verdict import EARLY_FROM_REWARD, OVER_BASE, OVER_HAND_WRITTEN
from podmeta.storage.run_files import EvaluationRow


class Comparison(NamedTuple):
    """In how many settings the learner is better, and worse, than an opponent.

    Attributes:
      when: "early" or "late" in the lifetime.
      better: settings whose paired interval lies above 0.
      worse: below 0.
      innate: better, but no better than itself with rewards zeroed; not counted as better.
      tested: settings in which the two were compared.
    """

    when: str
    better: int
    worse: int
    innate: int
    tested: int


class Counts(NamedTuple):
    """The verdicts of a suite, counted.

    Attributes:
      learns: settings in which the learner learns from reward.
      judged: settings with a verdict.
      base: the comparisons with its own base alone.
      hand_written: those with the best hand-written rule.
    """

    learns: int
    judged: int
    base: list[Comparison]
    hand_written: list[Comparison]


def count_verdicts(rows: Sequence[EvaluationRow]) -> Counts:
    """Counts the verdicts and margins in the learner's rows, by setting.

    Better than a hand-written rule early counts only where the learner also beats itself with rewards zeroed there:
    what is innate is not learned.
    """
    by_setting: dict[str, dict[str, EvaluationRow]] = {}
    for row in rows:
        if row.algorithm == "learner":
            about = json.dumps([row.suite, row.environment, row.setting], sort_keys=True)
            by_setting.setdefault(about, {})[row.metric] = row
    settings = list(by_setting.values())
    verdicts = [metrics[LEARNS_FROM_REWARD].mean for metrics in settings if LEARNS_FROM_REWARD in metrics]
    return Counts(
        learns=sum(verdict == 1.0 for verdict in verdicts),
        judged=len(verdicts),
        base=[_count(settings, metric, when, asks_for_reward=False) for metric, when in OVER_BASE.items()],
        hand_written=[
            _count(settings, metric, when, asks_for_reward=when == "early")
            for metric, when in OVER_HAND_WRITTEN.items()
        ],
    )


def counts_in_lines(counts: Counts) -> list[str]:
    """The counts in words, one line each; those of what was not tested are left out."""
    lines = [f"learns from reward: {counts.learns} of {counts.judged} settings"] if counts.judged else []
    for opponent, comparisons in (("its base alone", counts.base), ("hand-written rules", counts.hand_written)):
        for each in comparisons:
            if each.tested:
                innate = f" ({each.innate} more are as good with rewards zeroed)" if each.innate else ""
                lines.append(
                    f"against {opponent}, {each.when}: better in {each.better}{innate}, worse in {each.worse} of "
                    f"{each.tested} settings"
                )
    return lines


def _count(
    settings: Sequence[Mapping[str, EvaluationRow]], metric: str, when: str, asks_for_reward: bool
) -> Comparison:
    tested = [metrics for metrics in settings if metric in metrics]
    better = [metrics for metrics in tested if metrics[metric].low > 0]
    learned = [metrics for metrics in better if not asks_for_reward or _is_learned_early(metrics)]
    worse = sum(metrics[metric].high < 0 for metrics in tested)
    return Comparison(when, len(learned), worse, len(better) - len(learned), len(tested))


def _is_learned_early(metrics: Mapping[str, EvaluationRow]) -> bool:
    return EARLY_FROM_REWARD in metrics and metrics[EARLY_FROM_REWARD].low > 0
