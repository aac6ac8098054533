"""The scale of advantages, as properties."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from podmeta.environments.jax.advantages import advantage_gap, normalise_advantages

values = stnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(2, 5)), elements=st.integers(-100, 100))


@given(values=values)
def test_the_best_action_has_0_and_the_mean_is_minus_1(values):
    advantages = np.asarray(normalise_advantages(jnp.asarray(values), 1e-6))
    np.testing.assert_array_equal(advantages.max(axis=-1), 0)
    differ = np.ptp(values, axis=-1) > 0
    np.testing.assert_allclose(advantages.mean(axis=-1), np.where(differ, -1, 0), rtol=1e-2)
    np.testing.assert_array_equal(advantages == 0, values == values.max(axis=-1, keepdims=True))


@given(values=values, scale=st.floats(0.01, 100), offset=st.floats(-100, 100))
def test_unit_and_offset_do_not_matter(values, scale, offset):
    np.testing.assert_allclose(
        normalise_advantages(jnp.asarray(scale * values + np.float32(offset)), 0.0),
        normalise_advantages(jnp.asarray(values), 0.0),
        atol=0.02,
    )


def test_small_gaps_are_not_blown_up():
    values = jnp.array([[0.0, 1.0], [0.0, 0.01]])
    np.testing.assert_allclose(advantage_gap(values), [0.5, 0.005], rtol=1e-6)
    np.testing.assert_allclose(normalise_advantages(values, 0.05)[:, 0], [-2, -0.2], rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_actions_that_are_equal_all_have_0(value):
    np.testing.assert_array_equal(normalise_advantages(jnp.full(3, value), 0.0), 0)
