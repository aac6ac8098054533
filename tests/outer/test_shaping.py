"""Fitness shaping against scipy, and its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podmeta.outer.shaping import SHAPINGS

POPULATION_SIZE = 8  # one size, so that each shaping is compiled once
COMPILED = {name: jax.jit(shape) for name, shape in SHAPINGS.items()}

with_ties = hnp.arrays(np.float32, POPULATION_SIZE, elements=st.sampled_from(np.float32([-1.5, 0.0, 0.1, 0.3, 7.0])))
numbers = hnp.arrays(np.float32, POPULATION_SIZE, elements=st.floats(-100, 100, width=16))
fitnesses = st.one_of(with_ties, numbers)


def shape(name, fitness):
    return np.asarray(COMPILED[name](jnp.asarray(fitness)))


@given(fitnesses)
def test_centred_ranks_are_scipys_mean_ranks_on_half_a_unit_either_side(fitness):
    expected = (scipy.stats.rankdata(fitness, "average") - 1) / (POPULATION_SIZE - 1) - 0.5
    np.testing.assert_allclose(shape("centred_rank", fitness), expected, atol=1e-6)


@given(fitnesses)
def test_the_z_score_has_mean_0_and_standard_deviation_1_or_is_0_where_all_are_equal(fitness):
    shaped = shape("z_score", fitness)
    if np.ptp(fitness) == 0:
        np.testing.assert_array_equal(shaped, 0.0)
    elif np.ptp(fitness) > 1e-3 * np.abs(fitness).max():
        np.testing.assert_allclose(shaped, scipy.stats.zscore(fitness.astype(np.float64)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["centred_rank", "z_score"])
@given(fitnesses, st.sampled_from([0.125, 2.0, 1024.0]))
def test_shaped_fitness_sums_to_zero_and_knows_no_scale(name, fitness, scale):
    shaped = shape(name, fitness)
    np.testing.assert_allclose(shaped.sum(), 0.0, atol=1e-3)
    np.testing.assert_allclose(shape(name, scale * fitness), shaped, atol=1e-5)


@given(fitnesses)
def test_ranks_know_no_monotone_change_of_the_fitness(fitness):
    np.testing.assert_array_equal(shape("centred_rank", np.arctan(fitness)), shape("centred_rank", fitness))


@given(fitnesses)
def test_raw_fitness_is_left_alone(fitness):
    np.testing.assert_array_equal(shape("raw", fitness), fitness)


@given(numbers, st.permutations(range(POPULATION_SIZE)))
def test_shaping_does_not_know_the_order_of_members(fitness, order):
    for name in SHAPINGS:
        np.testing.assert_allclose(shape(name, fitness[order]), shape(name, fitness)[order], atol=1e-4)
