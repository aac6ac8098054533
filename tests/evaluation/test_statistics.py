"""Confidence intervals: that they cover as often as they say, and move and stretch with their values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import mannwhitneyu, norm

from podmeta.errors import InputError
from podmeta.evaluation.statistics import mean_interval, mean_of_runs, probability_of_improvement, t_half_width

VALUES = hnp.arrays(np.float64, st.integers(2, 20), elements=st.floats(-100, 100))


@pytest.mark.long
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


@given(values=hnp.arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 4)), elements=st.floats(-100, 100)))
def test_half_widths_of_several_means_are_those_of_each(values):
    own = [mean_interval(column) for column in values.T]
    np.testing.assert_allclose(t_half_width(values), [each.high - each.mean for each in own], rtol=1e-6, atol=1e-9)


RUNS = hnp.arrays(np.float64, st.integers(1, 9), elements=st.integers(-5, 5).map(float))


@given(one=RUNS, other=RUNS)
def test_the_probability_of_improvement_is_the_mann_whitney_statistic_over_its_largest(one, other):
    estimate = probability_of_improvement(one, other)
    assert estimate.value == pytest.approx(mannwhitneyu(one, other).statistic / (len(one) * len(other)))
    turned = probability_of_improvement(other, one)
    mirrored = (1 - turned.value, 1 - turned.high, 1 - turned.low)
    assert estimate == pytest.approx(mirrored, nan_ok=True)
    if min(len(one), len(other)) > 1:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.high - estimate.low > 0.1  # nine runs are few, also where all are better


@pytest.mark.long
@pytest.mark.parametrize(("num_one", "num_other"), [(2, 3), (3, 3), (5, 5), (3, 10)])
@pytest.mark.parametrize("probability", [0.5, 0.75, 0.95])
def test_the_interval_of_the_probability_covers_it_as_often_as_it_says(num_one, num_other, probability):
    generator, shift = np.random.default_rng(0), norm.ppf(probability) * 2**0.5
    covered = 0
    for _ in range(500):
        estimate = probability_of_improvement(generator.normal(shift, size=num_one), generator.normal(size=num_other))
        covered += estimate.low <= probability <= estimate.high
    assert covered >= 0.93 * 500


def test_one_run_has_no_interval():
    assert mean_of_runs(np.ones(1)) == pytest.approx((1.0, np.nan, np.nan), nan_ok=True)
    assert mean_of_runs(np.arange(3.0)) == pytest.approx(mean_interval(np.arange(3.0))[:3])
    for one, other in ((1, 1), (1, 5), (5, 1)):
        assert np.isnan(probability_of_improvement(np.ones(one), np.zeros(other))[1:]).all()
