"""Comparing groups of runs that differ in their seeds: interquartile means and probabilities of improvement.

The statistics are those of Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(arXiv 2108.13264), which a few runs need: the mean of their middle half, intervals by bootstrap over runs, stratified
by setting, and the probability that a run of one group is better than a run of the other. (Their library, rliable 1.2,
needs arch < 8, which cannot be imported beside pandas 3.)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from rich.table import Table
from scipy.stats import trim_mean

from podmeta.errors import InputError
from podmeta.evaluation.rows import lower_is_better, read_current_rows, setting_key

NUM_RESAMPLES = 2000
_CHUNK = 200  # resamples at once

Scores = Float[np.ndarray, "_num_runs num_settings"]
Statistic = Float[np.ndarray, "..."] | np.floating  # one, or one of every draw


class Estimate(NamedTuple):
    """A statistic and its 95% bootstrap interval."""

    value: float
    low: float
    high: float


class SettingScores(NamedTuple):
    """What the runs of every group reached in one setting.

    Attributes:
      key: the setting, in words.
      metric: its headline metric.
      scores: by group, one value per run.
      normalised: by group, the same where 0 is what random reached and 1 what the best of all algorithms and runs did.
    """

    key: str
    metric: str
    scores: dict[str, Float[np.ndarray, "num_runs"]]
    normalised: dict[str, Float[np.ndarray, "num_runs"]]


class CollectedScores(NamedTuple):
    """What was read of runs.

    Attributes:
      settings: the scores in every setting that they share.
      notes: lines about results that are of another θ than a run's newest, or do not record theirs.
    """

    settings: list[SettingScores]
    notes: list[str]


class Comparison(NamedTuple):
    """Groups of runs, compared in one setting or over all.

    Attributes:
      setting: in words.
      metric: what is compared.
      means: by group, the interquartile mean.
      improvements: by each group but the first, the probability that a run of the first is better than one of its own.
      num_runs: by group.
    """

    setting: str
    metric: str
    means: dict[str, Estimate]
    improvements: dict[str, Estimate]
    num_runs: dict[str, int]


def interquartile_mean(scores: Float[np.ndarray, "... num_runs num_settings"]) -> Statistic:
    """The mean of all scores but the lowest and the highest quarter, over runs and settings together."""
    return trim_mean(scores.reshape(*scores.shape[:-2], -1), 0.25, axis=-1)


def probability_of_improvement(
    one: Float[np.ndarray, "... num_runs num_settings"], other: Float[np.ndarray, "... num_other_runs num_settings"]
) -> Statistic:
    """How probable it is that a run of one group scores more than a run of the other, in a setting drawn at random.

    A tie counts half: it is the Mann-Whitney statistic over its largest value, averaged over settings.
    """
    differences = one[..., :, None, :] - other[..., None, :, :]
    return np.mean((differences > 0) + 0.5 * (differences == 0), axis=(-3, -2, -1))


def bootstrap(statistic: Callable[..., Statistic], *groups: Scores, seed: int = 0) -> Estimate:
    """A statistic of groups of scores, with the 95% interval of its bootstrap, by percentiles.

    Runs are drawn with replacement within their group, in each setting by itself.

    Args:
      statistic: of the groups, each [..., num_runs, num_settings].
      *groups: the scores of each group, of which the settings are the same.
      seed: of the draws.
    """
    generator = np.random.default_rng(seed)

    def resampled(scores: Scores) -> Float[np.ndarray, "chunk num_runs num_settings"]:
        runs = generator.integers(len(scores), size=(_CHUNK, *scores.shape))
        return np.take_along_axis(scores[None], runs, axis=1)

    values = [statistic(*map(resampled, groups)) for _ in range(NUM_RESAMPLES // _CHUNK)]
    low, high = np.percentile(np.concatenate(values), [2.5, 97.5])
    return Estimate(float(statistic(*groups)), float(low), float(high))


def group_of(run_path: Path) -> str:
    """The group of a run: the name of its directory up to the last underscore, as in symmetric_0, symmetric_1."""
    name = run_path.resolve().name
    return name.rpartition("_")[0] or name


def collect_scores(run_paths: list[Path], suites: list[str]) -> CollectedScores:
    """What every group reached in the settings in which all runs were meta-tested. Instances of a run count as runs.

    Only rows of every run's newest θ count.

    Args:
      run_paths: the run directories.
      suites: only the settings of these; [] is all.

    Raises:
      InputError: there are fewer than two groups, a run was not meta-tested, or all runs share no setting.
    """
    groups = list(dict.fromkeys(map(group_of, run_paths)))
    if len(groups) < 2:
        raise InputError(
            f"all runs are of one group, {', '.join(groups)}: the group is the directory's name up to its last "
            "underscore, as in runs/symmetric_0 runs/symmetric_1 runs/recurrent_0 runs/recurrent_1"
        )
    read = [read_current_rows(path, "evaluation.jsonl") for path in run_paths]
    notes = [note for current in read for note in current.notes]
    by_run = [(group_of(path), _headlines(rows, suites)) for path, (rows, _) in zip(run_paths, read, strict=True)]
    shared = [key for key in by_run[0][1] if all(key in headlines for _, headlines in by_run)]
    if not shared:
        raise InputError(
            f"the runs share no setting{' of ' + ', '.join(suites) if suites else ''} that all were meta-tested in: "
            "give podmeta evaluate the same suite for all of them" + "".join(f"\n  {note}" for note in notes)
        )
    settings = [_in_setting(key, groups, [(group, headlines[key]) for group, headlines in by_run]) for key in shared]
    return CollectedScores(settings, notes)


class _Headline(NamedTuple):
    """The headline metric of one run in one setting: by algorithm, its value or, by instance, its values."""

    metric: str
    values: dict[str, list[float]]


def _headlines(rows: list[dict[str, Any]], suites: list[str]) -> dict[str, _Headline]:
    headlines: dict[str, _Headline] = {}
    for row in rows:
        if suites and row["suite"] not in suites:
            continue
        setting = {key: value for key, value in row["setting"].items() if key != "instance"}
        key = setting_key(row["suite"], row["environment"], setting)
        headline = headlines.setdefault(key, _Headline(row["metric"], {}))
        if row["metric"] == headline.metric:
            headline.values.setdefault(row["algorithm"], []).append(row["mean"])
    return headlines


def _in_setting(key: str, groups: list[str], by_run: list[tuple[str, _Headline]]) -> SettingScores:
    metrics = {headline.metric for _, headline in by_run}
    if len(metrics) > 1:
        told = " and ".join(sorted(metrics))
        raise InputError(f"{key}: the runs were meta-tested by {told}: give all of them to podmeta evaluate again")
    (metric,) = metrics
    scores = {
        group: np.array([value for owner, run in by_run if owner == group for value in run.values["learner"]])
        for group in groups
    }
    random = np.mean([value for _, run in by_run for value in run.values["random"]])
    means = [np.mean(values) for _, run in by_run for values in run.values.values()]
    span = (min(means) if lower_is_better(metric) else max(means)) - random
    normalised = {group: (values - random) / (span or 1.0) for group, values in scores.items()}
    return SettingScores(key, metric, scores, normalised)


def compare(settings: list[SettingScores]) -> list[Comparison]:
    """One comparison per setting, and, where there are several, one of all of them by normalised scores."""
    comparisons = []
    for each in settings:
        sign = -1.0 if lower_is_better(each.metric) else 1.0
        columns = {group: values[:, None] for group, values in each.scores.items()}
        comparisons.append(_compared(each.key, each.metric, columns, sign))
    if len(settings) > 1:
        together = {
            group: np.stack([each.normalised[group] for each in settings], axis=1) for group in settings[0].normalised
        }
        comparisons.append(_compared("all settings", "normalised", together, sign=1.0))
    return comparisons


def make_comparison_table(comparisons: list[Comparison]) -> Table:
    """One line per setting: every group's interquartile mean, and how probably the first group's runs are better."""
    first, *others = comparisons[0].means
    table = Table(title="interquartile mean over runs, and probability of improvement, with 95% bootstrap intervals")
    table.add_column("setting")
    for group in (first, *others):
        table.add_column(f"{group}\n(n = {comparisons[0].num_runs[group]})", justify="right")
    for group in others:
        table.add_column(f"P({first} better\nthan {group})", justify="right")
    for each in comparisons:
        means = [_told(estimate, each.metric) for estimate in each.means.values()]
        improvements = [_told(estimate) for estimate in each.improvements.values()]
        table.add_row(f"{each.setting}\n{each.metric}", *means, *improvements, end_section=True)
    return table


def _told(estimate: Estimate, metric: str = "") -> str:
    digits = 2 if metric in ("regret", "failures", "return", "") else 3
    return f"{estimate.value:.{digits}f}\n[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _compared(setting: str, metric: str, scores: dict[str, Scores], sign: float) -> Comparison:
    (_, of_first), *others = scores.items()
    return Comparison(
        setting,
        metric,
        {group: bootstrap(interquartile_mean, values) for group, values in scores.items()},
        {group: bootstrap(probability_of_improvement, sign * of_first, sign * values) for group, values in others},
        {group: len(values) for group, values in scores.items()},
    )
