"""What a job of several processes says of all of them together."""

import numpy as np
import pytest

from podmeta.training.loop import _over_processes


@pytest.mark.parametrize(
    ("name", "expected"), [("lag_max", 3.0), ("num_finished_episodes", 6.0), ("episode_return_mean", 2.0)]
)
def test_maxima_are_maximised_counts_added_up_and_the_rest_averaged(name, expected):
    assert _over_processes(name, np.array([1.0, 2.0, 3.0])) == expected
