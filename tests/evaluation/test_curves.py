"""Learning curves as numbers."""

import numpy as np
import pytest
from scipy import stats

from podmeta.evaluation.curves import NUM_POINTS, curve_rows
from podmeta.evaluation.rollouts import Lifetimes


@pytest.mark.parametrize("length", [1, 7, NUM_POINTS, 403])
def test_a_curve_is_the_metric_per_env_step_of_stretches_that_make_up_the_lifetime(length):
    rewards = np.random.default_rng(0).normal(size=(5, length)).astype(np.float32)
    nothing = np.zeros_like(rewards)
    (row,) = curve_rows("suite", {"a": 1}, "bandit", {"learner": Lifetimes(rewards, nothing, nothing, None)})
    assert (row.metric, row.num_tasks, row.steps[-1]) == ("return", 5, length)
    widths = np.diff([0, *row.steps])
    assert len(row.mean) == len(widths) == min(length, NUM_POINTS) and widths.min() >= 1
    assert np.dot(row.mean, widths) == pytest.approx(rewards.sum(axis=1).mean(), abs=1e-4)
    first = rewards[:, : row.steps[0]].astype(np.float64).mean(axis=1)
    low, high = stats.t.interval(0.95, 4, first.mean(), stats.sem(first))
    assert (row.low[0], row.mean[0], row.high[0]) == pytest.approx((low, first.mean(), high), abs=1e-6)
