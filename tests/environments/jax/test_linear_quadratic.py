"""Values of linear systems, against SciPy and sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.jax.linear_quadratic import solve_riccati, sum_linear, sum_quadratic


def system(seed, size=4):
    random = np.random.default_rng(seed)
    transition = random.normal(size=(size, size)) * 0.5
    return transition, random.normal(size=(size, 2)), np.diag(random.uniform(0.1, 1, size))


@given(seed=st.integers(0, 1000), control_cost=st.sampled_from([0.1, 1.0, 10.0]))
def test_the_cost_to_go_solves_the_riccati_equation(seed, control_cost):
    transition, control, state_cost = map(jnp.asarray, system(seed))
    expected = scipy.linalg.solve_discrete_are(transition, control, state_cost, control_cost * np.eye(2))
    found = jax.jit(solve_riccati, static_argnums=3)(transition, control, state_cost, control_cost)
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(3))
def test_sums_over_the_next_states(seed):
    transition, _, weights = map(jnp.asarray, system(seed))
    powers = [np.linalg.matrix_power(transition, step) for step in range(8)]
    np.testing.assert_allclose(sum_quadratic(transition, weights, 3), sum(p.T @ weights @ p for p in powers), rtol=1e-3)
    linear = weights.sum(0)
    np.testing.assert_allclose(sum_linear(transition, linear, 3), sum(p.T @ linear for p in powers), rtol=1e-3)
