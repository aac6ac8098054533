"""Learning curves inside lifetimes, as numbers."""

import numpy as np

from podmeta.evaluation.meta_test import headline_metric, metric_values
from podmeta.evaluation.rollouts import Lifetimes
from podmeta.evaluation.statistics import mean_interval
from podmeta.storage.run_files import CurveRow
from podmeta.value_types import Json

NUM_POINTS = 20


def curve_rows(
    suite: str, setting: dict[str, Json], environment: str, measured: dict[str, Lifetimes]
) -> list[CurveRow]:
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
