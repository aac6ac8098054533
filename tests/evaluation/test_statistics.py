"""Confidence intervals: that they cover as often as they say, and move and stretch with their values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podmeta.errors import InputError
from podmeta.evaluation.statistics import mean_interval

VALUES = hnp.arrays(np.float64, st.integers(2, 20), elements=st.floats(-100, 100))


@pytest.mark.parametrize("num_tasks", [2, 5, 100])
def test_interval_covers_the_mean_95_times_in_100(num_tasks):
    num_intervals = 4000
    samples = np.random.default_rng(0).normal(3.0, 2.0, (num_intervals, num_tasks))
    intervals = [mean_interval(sample) for sample in samples]
    coverage = np.mean([interval.low <= 3.0 <= interval.high for interval in intervals])
    assert abs(coverage - 0.95) < 4 * np.sqrt(0.95 * 0.05 / num_intervals)


@given(values=VALUES, shift=st.floats(-100, 100), scale=st.floats(0.1, 10))
def test_interval_moves_and_stretches_with_the_values(values, shift, scale):
    plain, changed = mean_interval(values), mean_interval(scale * values + shift)
    assert changed[:3] == pytest.approx([scale * end + shift for end in plain[:3]], abs=1e-6)
    assert changed.num_tasks == len(values)


@given(values=VALUES)
def test_mean_is_the_middle(values):
    interval = mean_interval(values)
    assert interval.low <= interval.mean <= interval.high
    assert (interval.low + interval.high) / 2 == pytest.approx(interval.mean, abs=1e-9)
    assert interval.mean == pytest.approx(sum(values) / len(values), abs=1e-9)


def test_equal_values_leave_no_doubt():
    assert mean_interval(np.full(7, 0.5)) == (0.5, 0.5, 0.5, 7)


@pytest.mark.parametrize("num_tasks", [0, 1])
def test_one_task_is_too_few(num_tasks):
    with pytest.raises(InputError, match=r"evaluation\.num_tasks"):
        mean_interval(np.ones(num_tasks))
