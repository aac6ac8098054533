"""Learners of other runs that are tested beside a run's own."""

import jax
import numpy as np
import pytest

from podmeta.config.schema import BanditConfig, RecurrentConfig, SymmetricConfig
from podmeta.errors import InputError
from podmeta.evaluation.baselines.contenders import Companion
from podmeta.evaluation.meta_test import meta_test
from podmeta.evaluation.run import load_companion
from podmeta.inner_loop import build_inner_loop

LEARNER, METARNN = SymmetricConfig(hidden_size=3, message_size=2), RecurrentConfig(hidden_size=3)
TRAINED_ON = BanditConfig(num_arms=2, lifetime_length=6)


def meta_params(config):
    return build_inner_loop(config, TRAINED_ON).init(jax.random.key(0))


@pytest.mark.long
def test_a_companion_meets_the_same_tasks_and_is_left_out_where_its_sizes_do_not_fit():
    own = meta_params(LEARNER)
    beside = [Companion("twin", own, LEARNER), Companion("metarnn", meta_params(METARNN), METARNN)]
    measured = meta_test(own, LEARNER, TRAINED_ON, num_tasks=5, seed=0, companions=beside)
    assert {"learner", "twin", "metarnn", "random"} <= measured.keys()
    np.testing.assert_array_equal(measured["twin"].rewards, measured["learner"].rewards)
    assert measured["metarnn"].rewards.shape == (5, 6)
    elsewhere = meta_test(own, LEARNER, BanditConfig(num_arms=3, lifetime_length=6), 5, seed=0, companions=beside)
    assert "twin" in elsewhere and "metarnn" not in elsewhere


@pytest.mark.parametrize("name", ["learner", "ppo"])
def test_a_companion_has_a_name_of_its_own(tmp_path, name):
    with pytest.raises(InputError, match=f"rows about {name} are of another algorithm"):
        load_companion(tmp_path / name)
