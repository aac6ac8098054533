"""Runs that differ in their seeds only, as one curve with an interval."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from podmeta.evaluation.report.record import RunRecord
from podmeta.evaluation.statistics import t_half_width
from podmeta.storage.run_files import CurveRow, MetricsRow

_MOST_POINTS = 300


class Band(NamedTuple):
    """A curve with a 95% interval.

    Attributes:
      positions: [num_points] where on the axis.
      mean: [num_points] its mean.
      low: [num_points] the lower end of the interval; the mean where there is none.
      high: [num_points] the upper end.
      number: how many runs or tasks the interval is over.
    """

    positions: Float[np.ndarray, "num_points"]
    mean: Float[np.ndarray, "num_points"]
    low: Float[np.ndarray, "num_points"]
    high: Float[np.ndarray, "num_points"]
    number: int


def group_runs(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """The runs by group: those of one name up to the last underscore that have the same learner, task and outer loop.

    Runs that share such a name and differ in more than their seeds are groups of their own, by their whole names.
    """
    by_prefix: dict[str, list[RunRecord]] = {}
    for record in records:
        by_prefix.setdefault(record.name.rpartition("_")[0] or record.name, []).append(record)
    groups: dict[str, list[RunRecord]] = {}
    for prefix, members in by_prefix.items():
        alike = len({repr(_without_seed(member)) for member in members}) == 1
        for member in members:
            groups.setdefault(prefix if alike and len(members) > 1 else member.name, []).append(member)
    return groups


def fitness_band(records: Sequence[RunRecord], position: Callable[[MetricsRow], float]) -> Band | None:
    """The fitness of runs and of their instances: its mean, and Student's 95% interval where there are several.

    Args:
      records: runs of one group.
      position: where on the axis a row is, such as its update.

    Returns:
      The curve as far as all runs go; None if that is nowhere.
    """
    curves = []
    for record in records:
        positions = np.array([position(row) for row in record.metrics], float)
        by_instance = np.array([row.fitness_by_instance() for row in record.metrics], float)
        curves += [(positions, values) for values in by_instance.T]
    if not curves:
        return None
    start, end = max(positions[0] for positions, _ in curves), min(positions[-1] for positions, _ in curves)
    first = curves[0][0]
    points = first[(first >= start) & (first <= end)]
    if not len(points):
        return None
    points = points[np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int))]
    return _over(points, np.array([np.interp(points, positions, values) for positions, values in curves]))


def learning_band(rows: Sequence[CurveRow]) -> Band:
    """A learning curve inside the lifetime over runs: their interval, or for one run that over its tasks.

    Args:
      rows: of one algorithm in one setting, one per run or instance. Those whose steps differ from the first's are
        left out.
    """
    first = rows[0]
    ends = np.array(first.steps, float)
    middles = (np.concatenate([[0.0], ends[:-1]]) + ends) / 2
    alike = [row for row in rows if row.steps == first.steps]
    if len(alike) > 1:
        return _over(middles, np.array([row.mean for row in alike], float))
    mean, low, high = (np.array(each, float) for each in (first.mean, first.low, first.high))
    return Band(middles, mean, low, high, first.num_tasks)


def by_number(text: str) -> list[tuple[bool, float, str]]:
    """A sort key that takes numbers in a text as numbers: num_arms=5 is before num_arms=10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(False, float(part), "") if index % 2 else (True, 0.0, part) for index, part in enumerate(parts)]


def _over(positions: Float[np.ndarray, "_"], values: Float[np.ndarray, "num_runs _"]) -> Band:
    mean = values.mean(axis=0)
    half_width = t_half_width(values) if len(values) > 1 else np.zeros_like(mean)
    return Band(positions, mean, mean - half_width, mean + half_width, len(values))


def _without_seed(record: RunRecord) -> Mapping[str, object]:
    kept = ("experiment_name", "num_updates", "learner", "environment", "outer", "stages")
    return {name: getattr(record.job, name) for name in kept}
