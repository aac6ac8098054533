"""Comparing groups of runs that differ in their seeds: means and probabilities of improvement.

A run is the unit: the settings of one run share its θ, so over all settings a run has one score, its mean. Intervals
are made for few runs. The mean has Student's t interval, which is exact for normal scores from two runs on (Colas et
al. 2018, "How Many Random Seeds?", arXiv 1806.08295). The bootstrap of interquartile means, which Agarwal et al. 2021
(arXiv 2108.13264) recommend for more runs, covers the truth about three times in four at three runs.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from rich.table import Table

from podmeta.config.paths import to_paste
from podmeta.errors import InputError
from podmeta.evaluation.rows import lower_is_better, metric_title, setting_key
from podmeta.evaluation.statistics import Estimate, mean_of_runs, probability_of_improvement
from podmeta.storage.json_files import Warn
from podmeta.storage.meta_params_id import current_evaluation
from podmeta.storage.run_files import EVALUATION, EvaluationRow
from podmeta.value_types import Json

ENOUGH_RUNS = 5
"""With fewer runs in a group, a warning goes with the table."""


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
      updates: by group and run, the update of the θ that was tested; without runs whose rows do not record it.
      notes: lines about results that are of another θ than a run's newest, or do not record theirs, and about groups
        whose runs are of different updates.
    """

    settings: list[SettingScores]
    updates: dict[str, dict[str, int]]
    notes: list[str]


class Comparison(NamedTuple):
    """Groups of runs, compared in one setting or over all.

    Attributes:
      setting: in words.
      metric: what is compared.
      means: by group, the mean over runs.
      improvements: by each group but the first, the probability that a run of the first is better than one of its own.
      num_runs: by group.
    """

    setting: str
    metric: str
    means: dict[str, Estimate]
    improvements: dict[str, Estimate]
    num_runs: dict[str, int]


def group_of(run_path: Path) -> str:
    """The group of a run: the name of its directory up to the last underscore, as in symmetric_0, symmetric_1."""
    name = run_path.resolve().name
    return name.rpartition("_")[0] or name


def collect_scores(run_paths: list[Path], suites: list[str], warn: Warn = warnings.warn) -> CollectedScores:
    """What every group reached in the settings in which all runs were meta-tested. Instances of a run count as runs.

    Only rows of every run's newest θ count.

    Args:
      run_paths: the run directories.
      suites: only the settings of these; [] is all.
      warn: shows the user a warning.

    Raises:
      InputError: a directory does not exist, there are fewer than two groups, a run was not meta-tested, its rows are
        damaged, or all runs share no setting.
    """
    missing = [str(path) for path in run_paths if not path.is_dir()]
    if missing:
        raise InputError(f"there is no such run directory: {', '.join(missing)}")
    groups = list(dict.fromkeys(map(group_of, run_paths)))
    if len(groups) < 2:
        raise InputError(
            f"all runs are in one group, {', '.join(groups)}: the group is the directory's name up to its last "
            "underscore, as in runs/symmetric_0 runs/symmetric_1 runs/recurrent_0 runs/recurrent_1"
        )
    read = [current_evaluation(path, warn) for path in run_paths]
    for path, (rows, notes_of_run) in zip(run_paths, read, strict=True):
        if not rows and not notes_of_run:
            raise InputError(f"{path / EVALUATION} has no rows: `podmeta evaluate {to_paste('run', path)}` makes them")
    notes = [note for _, notes_of_run in read for note in notes_of_run]
    updates = _updates(run_paths, [rows for rows, _ in read])
    notes += _uneven(updates)
    by_run = []
    for path, (rows, _) in zip(run_paths, read, strict=True):
        headlines, partial = _without_partial(path, _headlines(path, rows, suites))
        by_run.append((group_of(path), headlines))
        notes += partial
    shared = [key for key in by_run[0][1] if all(key in headlines for _, headlines in by_run)]
    if not shared:
        raise InputError(
            f"the runs share no setting{' of ' + ', '.join(suites) if suites else ''} that all were meta-tested in: "
            "run podmeta evaluate with the same suite for all of them" + "".join(f"\n  {note}" for note in notes)
        )
    settings = [_in_setting(key, groups, [(group, headlines[key]) for group, headlines in by_run]) for key in shared]
    return CollectedScores(settings, updates, notes)


def _updates(run_paths: list[Path], read: list[list[EvaluationRow]]) -> dict[str, dict[str, int]]:
    """By group and run, the update of the θ that was tested, where the rows record it."""
    by_group: dict[str, dict[str, int]] = {}
    for path, rows in zip(run_paths, read, strict=True):
        if rows and rows[0].update >= 0:
            by_group.setdefault(group_of(path), {})[path.resolve().name] = rows[0].update
    return by_group


def _uneven(by_group: dict[str, dict[str, int]]) -> list[str]:
    """A line about every group whose runs are not of the same update."""
    return [
        f"the runs of {group} are of different updates: "
        + ", ".join(f"{name} of {update:,}" for name, update in updates.items())
        for group, updates in by_group.items()
        if len(set(updates.values())) > 1
    ]


def _without_partial(run_path: Path, headlines: dict[str, "_Headline"]) -> tuple[dict[str, "_Headline"], list[str]]:
    """The settings in which all instances of a run were tested, and a line about each of the others."""
    numbers = {key: len(headline.values["learner"]) for key, headline in headlines.items()}
    whole = max(numbers.values(), default=0)
    notes = [
        f"{run_path / EVALUATION}: {key} is left out, because {number} of {whole} instances were tested in it: "
        f"podmeta evaluate {to_paste('run', run_path)} tests all"
        for key, number in numbers.items()
        if number < whole
    ]
    return {key: headline for key, headline in headlines.items() if numbers[key] == whole}, notes


class _Headline(NamedTuple):
    """The headline metric of one run in one setting: by algorithm and instance, its value."""

    metric: str
    values: dict[str, dict[int, float]]

    def of(self, algorithm: str) -> list[float]:
        """The values of an algorithm, in the order of instances."""
        return [value for _, value in sorted(self.values[algorithm].items())]


def _headlines(run_path: Path, rows: list[EvaluationRow], suites: list[str]) -> dict[str, _Headline]:
    headlines: dict[str, _Headline] = {}
    for row in rows:
        if suites and row.suite not in suites:
            continue
        setting = {key: value for key, value in row.setting.items() if key != "instance"}
        key = setting_key(row.suite, row.environment, setting)
        headline = headlines.setdefault(key, _Headline(row.metric, {}))
        if row.metric == headline.metric:
            headline.values.setdefault(row.algorithm, {})[row.setting.get("instance", 0)] = row.mean
    for key, headline in headlines.items():
        for algorithm in ("learner", "random"):
            if algorithm not in headline.values:
                raise InputError(
                    f"{run_path / EVALUATION} has no {headline.metric} of {algorithm} in {key}: "
                    f"`podmeta evaluate {to_paste('run', run_path)}` measures it again"
                )
    return headlines


def _in_setting(key: str, groups: list[str], by_run: list[tuple[str, _Headline]]) -> SettingScores:
    metrics = {headline.metric for _, headline in by_run}
    if len(metrics) > 1:
        names = " and ".join(sorted(metrics))
        raise InputError(f"{key}: the runs were meta-tested by {names}: give all of them to podmeta evaluate again")
    (metric,) = metrics
    scores = {
        group: np.array([value for owner, run in by_run if owner == group for value in run.of("learner")])
        for group in groups
    }
    random = np.mean([value for _, run in by_run for value in run.of("random")])
    means = [np.mean(run.of(algorithm)) for _, run in by_run for algorithm in run.values]
    span = (min(means) if lower_is_better(metric) else max(means)) - random
    normalised = {group: (values - random) / (span or 1.0) for group, values in scores.items()}
    return SettingScores(key, metric, scores, normalised)


def compare(settings: list[SettingScores]) -> list[Comparison]:
    """One comparison per setting, and, where there are several, one of every run's mean normalised score.

    What scores are normalised by is taken as given: the intervals leave its error out.
    """
    comparisons = []
    for each in settings:
        sign = -1.0 if lower_is_better(each.metric) else 1.0
        comparisons.append(_compared(each.key, each.metric, each.scores, sign))
    if len(settings) > 1:
        together = {
            group: np.mean([each.normalised[group] for each in settings], axis=0) for group in settings[0].normalised
        }
        comparisons.append(_compared("all settings", "normalised", together, sign=1.0))
    return comparisons


def few_runs_warning(comparisons: list[Comparison]) -> str | None:
    """A line about groups of fewer than `ENOUGH_RUNS` runs; None if there are none."""
    few = [f"{group} has {number}" for group, number in comparisons[0].num_runs.items() if number < ENOUGH_RUNS]
    if not few:
        return None
    return (
        f"fewer than {ENOUGH_RUNS} runs in a group ({', '.join(few)}): the intervals are wide, and rest on scores that "
        "are normally distributed over seeds. Train more seeds"
    )


def make_comparison_table(comparisons: list[Comparison], updates: dict[str, dict[str, int]]) -> Table:
    """One line per setting: every group's mean over runs, and how probably the first group's runs are better.

    Args:
      comparisons: the lines.
      updates: by group and run, the update of the θ that was tested.
    """
    first, *others = comparisons[0].means
    table = Table(title="mean over runs with its 95% t interval, and probability of improvement with its 95% interval")
    table.add_column("setting", overflow="fold")
    for group in (first, *others):
        tested = sorted(set(updates.get(group, {}).values()))
        of_update = f"\nθ of update {', '.join(f'{update:,}' for update in tested)}" if tested else ""
        table.add_column(
            f"{group}\n(n = {comparisons[0].num_runs[group]}){of_update}", justify="right", overflow="fold"
        )
    for group in others:
        table.add_column(f"P({first} better\nthan {group})", justify="right", overflow="fold")
    for each in comparisons:
        means = [_told(estimate, each.metric) for estimate in each.means.values()]
        improvements = [_told(estimate) for estimate in each.improvements.values()]
        table.add_row(f"{each.setting}\n{metric_title(each.metric)}", *means, *improvements, end_section=True)
    return table


def comparison_as_dict(comparison: Comparison) -> dict[str, Json]:
    """A comparison as JSON: an estimate is {value, low, high}, whose bounds are null where there is no interval."""

    def finite(estimate: Estimate) -> dict[str, Json]:
        return {name: float(value) if np.isfinite(value) else None for name, value in estimate._asdict().items()}

    return {
        "setting": comparison.setting,
        "metric": comparison.metric,
        "num_runs": dict(comparison.num_runs),
        "means": {group: finite(estimate) for group, estimate in comparison.means.items()},
        "improvements": {group: finite(estimate) for group, estimate in comparison.improvements.items()},
    }


def _told(estimate: Estimate, metric: str = "") -> str:
    digits = 2 if metric in ("regret", "failures", "return", "") else 3
    if not np.isfinite(estimate.low):
        return f"{estimate.value:.{digits}f}\n(no interval)"
    return f"{estimate.value:.{digits}f}\n[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _compared(setting: str, metric: str, scores: dict[str, Float[np.ndarray, "_"]], sign: float) -> Comparison:
    (_, of_first), *others = scores.items()
    return Comparison(
        setting,
        metric,
        {group: mean_of_runs(values) for group, values in scores.items()},
        {group: probability_of_improvement(sign * of_first, sign * values) for group, values in others},
        {group: len(values) for group, values in scores.items()},
    )
