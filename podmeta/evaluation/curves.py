"""Learning curves inside lifetimes, as numbers."""

import dataclasses
from typing import Any

import numpy as np

from podmeta.evaluation.lived import Lifetimes
from podmeta.evaluation.meta_test import headline_metric, metric_values
from podmeta.evaluation.statistics import mean_interval

NUM_POINTS = 20


@dataclasses.dataclass(frozen=True)
class CurveRow:
    """One line of `learning_curves.jsonl`: how an algorithm's headline metric goes over the lifetime.

    Attributes:
      metric: "regret", "failures" or "return".
      steps: the env step at which each stretch of the lifetime ends.
      mean, low, high: the metric per env step in each stretch, its mean over tasks and its 95% interval.
      update, meta_params_sha256, evaluation_seed: as in `EvaluationRow`.
    """

    suite: str
    environment: str
    setting: dict[str, Any]
    algorithm: str
    metric: str
    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    num_tasks: int
    update: int = -1
    meta_params_sha256: str = ""
    evaluation_seed: int = -1


def curve_rows(suite: str, setting: dict[str, Any], environment: str, measured: dict[str, Lifetimes]) -> list[CurveRow]:
    """One curve per algorithm, over `NUM_POINTS` stretches of the lifetime (fewer where it is shorter)."""
    metric = headline_metric(measured)
    rows = []
    for algorithm, lifetimes in measured.items():
        values = metric_values(lifetimes, metric)
        stretches = np.array_split(values, min(NUM_POINTS, values.shape[1]), axis=1)
        intervals = [mean_interval(stretch.mean(axis=1)) for stretch in stretches]
        rows.append(
            CurveRow(
                suite,
                environment,
                setting,
                algorithm,
                metric,
                steps=np.cumsum([stretch.shape[1] for stretch in stretches]).tolist(),
                mean=[interval.mean for interval in intervals],
                low=[interval.low for interval in intervals],
                high=[interval.high for interval in intervals],
                num_tasks=len(values),
            )
        )
    return rows
