"""Transforms of rewards."""

import dm_env
import numpy as np
import pytest

from podmeta.environments.transforms.rewards import FailureReward
from podmeta.errors import InputError


def test_only_termination_is_paid_for(specs_with):
    step_type = np.array([0, 1, 2, 2], np.int32)
    discount = np.array([1.0, 0.0, 0.0, 1.0], np.float32)
    timestep = dm_env.TimeStep(step_type, np.full(4, 7.0, np.float32), discount, np.zeros((4, 2, 3), np.float32))
    outer = FailureReward(specs_with()).outer_timestep((), timestep)
    np.testing.assert_array_equal(outer.reward, [0, 0, -1, 0])
    assert outer.observation is timestep.observation and outer.discount is discount


def test_episodes_that_never_end_have_no_failures(specs_with):
    with pytest.raises(InputError, match=r"failure_reward=false"):
        FailureReward(specs_with(episodes_end=False))
