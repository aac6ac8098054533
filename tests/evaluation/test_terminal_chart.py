"""Charts of block characters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from podmeta.evaluation.terminal_chart import bar_chart, binned

values = st_numpy.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6))
EIGHTHS = " ▁▂▃▄▅▆▇█"


def heights(lines):
    """Of every bar, in eighths of a line."""
    bars = [line.partition("┤")[2] for line in lines]
    return np.array([sum(EIGHTHS.index(line[column]) for line in bars) for column in range(len(bars[0]))])


@given(values, st.integers(2, 10))
def test_bars_are_as_high_as_their_values_to_an_eighth_of_a_line(values, height):
    lines = bar_chart(values, height)
    assert len(lines) == height
    span = np.ptp(values) or 1.0
    wanted = 1 + (values - values.min()) / span * (8 * height - 1)
    np.testing.assert_allclose(heights(lines), wanted, atol=0.51)
    assert lines[0].split(" ┤")[0].strip() == f"{values.max():.3g}"
    assert lines[-1].split(" ┤")[0].strip() == f"{values.min():.3g}"


@given(values, st.integers(1, 40))
def test_bins_are_the_means_of_stretches(values, num_bins):
    means = binned(values, num_bins)
    assert len(means) == min(num_bins, len(values))
    if len(values) % len(means) == 0:
        np.testing.assert_allclose(means, values.reshape(len(means), -1).mean(axis=1))
    assert values.min() - 1e-6 <= means.min() and means.max() <= values.max() + 1e-6


def test_a_chart_can_be_read():
    assert bar_chart(np.array([0.0, 0.5, 1.0]), height=2) == ["1 ┤ ▁█", "0 ┤▁██"]
