"""Running statistics of value targets, against those of the targets themselves."""

import jax.numpy as jnp
import numpy as np

from podmeta.outer.value_statistics import mean_and_std, no_statistics, updated_statistics


def test_statistics_are_those_of_the_targets_from_the_first_step_on():
    targets = np.random.default_rng(0).normal(loc=3.0, scale=2.0, size=(400, 50)).astype(np.float32)
    statistics = no_statistics()
    for step, seen in enumerate(targets):
        statistics = updated_statistics(statistics, (jnp.mean(seen), jnp.mean(seen**2)))
        if step == 0:
            np.testing.assert_allclose(mean_and_std(statistics), (seen.mean(), seen.std()), rtol=1e-3)
    np.testing.assert_allclose(mean_and_std(statistics), (3.0, 2.0), rtol=0.05)


def test_values_are_as_they_are_before_any_target_was_seen():
    assert tuple(map(float, mean_and_std(no_statistics()))) == (0.0, 1.0)


def test_targets_that_never_change_leave_a_standard_deviation_to_divide_by():
    statistics = updated_statistics(no_statistics(), (jnp.array(5.0), jnp.array(25.0)))
    mean, std = mean_and_std(statistics)
    np.testing.assert_allclose(mean, 5.0, rtol=1e-5)
    assert 0 < std < 0.1
