"""Learning curves as numbers."""

import numpy as np
import pytest

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
    assert all(low <= mean <= high for low, mean, high in zip(row.low, row.mean, row.high, strict=True))
