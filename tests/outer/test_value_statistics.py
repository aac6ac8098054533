"""Running statistics of value targets, against those of the targets themselves."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.outer.moments import moments_of
from podmeta.outer.value_statistics import mean_and_std, no_statistics, updated_statistics


@jax.jit
def after_all(targets):
    """The statistics after every gradient step."""

    def step(statistics, seen):
        statistics = updated_statistics(statistics, moments_of(seen))
        return statistics, statistics

    return jax.lax.scan(step, no_statistics(), targets)[1]


FAR = pytest.param(
    -1e6,
    marks=pytest.mark.skipif(
        "--xla_cpu_enable_fast_math=true" in os.environ["XLA_FLAGS"],
        reason="fast math simplifies away what a mean lacks because it is rounded",
    ),
)


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4, FAR])
def test_statistics_are_those_of_the_targets_from_the_first_step_on(offset):
    steps = np.random.default_rng(0).normal(loc=3.0, scale=2.0, size=(400, 50)) + np.linspace(0, 5, 400)[:, None]
    targets = (offset + steps).astype(np.float32)
    by_step = after_all(targets)
    for last in (1, 2, 10, 400):
        weights = np.repeat(0.99 ** np.arange(last)[::-1], 50)
        seen = targets[:last].astype(np.float64).reshape(-1)
        mean = np.average(seen, weights=weights)
        std = np.sqrt(np.average((seen - mean) ** 2, weights=weights))
        statistics = jax.tree.map(lambda leaf, last=last: leaf[last - 1], by_step)
        # Means near 1e6 are rounded to 1/16.
        np.testing.assert_allclose(mean_and_std(statistics), (mean, std), rtol=1e-3 if abs(offset) < 1e6 else 2e-2)
        np.testing.assert_allclose(statistics.mean - mean, 0.0, atol=1e-3 + 2e-7 * abs(offset))


def test_values_are_as_they_are_before_any_target_was_seen():
    assert tuple(map(float, mean_and_std(no_statistics()))) == (0.0, 1.0)


def test_targets_that_never_change_leave_a_standard_deviation_to_divide_by():
    statistics = updated_statistics(no_statistics(), moments_of(jnp.full(7, 5.0)))
    mean, std = mean_and_std(statistics)
    np.testing.assert_allclose(mean, 5.0, rtol=1e-5)
    assert 0 < std < 0.1


def test_a_step_without_targets_changes_nothing():
    statistics = updated_statistics(no_statistics(), moments_of(jnp.array([1.0, 2.0])))
    after = updated_statistics(statistics, moments_of(jnp.array([9.0, 9.0]), jnp.zeros(2)))
    np.testing.assert_array_equal(after, statistics)
