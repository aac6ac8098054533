"""The returns that actors tell."""

import dm_env
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podmeta.runtime.sebulba.actor import EpisodeReturns


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.lists(st.integers(1, 5), max_size=4))
def test_returns_are_those_of_the_episodes_that_ended_however_they_are_cut_into_unrolls(seed, number, lengths):
    generator = np.random.default_rng(seed)
    returns, running, expected = EpisodeReturns(number), np.zeros(number), []
    for length in lengths:
        starts = generator.random(number) < 0.2
        returns.restart(starts)
        running[starts] = 0.0
        unroll = []
        for _ in range(length):
            step_type, reward = generator.integers(0, 3, number), generator.normal(size=number).astype(np.float32)
            unroll.append(dm_env.TimeStep(step_type, reward, np.ones(number), np.zeros((number, 1))))
            running += reward
            expected += running[step_type == dm_env.StepType.LAST].tolist()
            running[step_type == dm_env.StepType.LAST] = 0.0
        returns.add(unroll)
    np.testing.assert_allclose(sorted(returns.take()), sorted(expected), atol=1e-9)
    assert returns.take() == []
