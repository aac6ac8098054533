import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.errors import InputError
from podmeta.learners.activations import make_activation, rational_sigmoid, rational_tanh

GRID = jnp.linspace(-10.0, 10.0, 20_001)


def test_rational_tanh_is_as_close_to_tanh_as_it_says():
    distance = np.abs(rational_tanh(GRID) - np.tanh(GRID))
    assert 0.023 < distance.max() < 0.024


def test_rational_tanh_is_odd_monotone_and_bounded():
    values = np.asarray(rational_tanh(GRID))
    np.testing.assert_allclose(values, -rational_tanh(-GRID), atol=2e-7)
    assert np.all(np.diff(values) >= -2e-7)  # up to float rounding, which shows where the slope is 0
    np.testing.assert_allclose(values[[0, -1]], [-1.0, 1.0], atol=2e-7)
    assert np.abs(values).max() < 1.0 + 2e-7


def test_rational_tanh_leaves_its_bounds_smoothly():
    slope = jax.vmap(jax.grad(rational_tanh))(jnp.array([0.0, -2.999, 2.999, 4.0]))
    np.testing.assert_allclose(slope, [1.0, 0.0, 0.0, 0.0], atol=1e-3)


@given(st.floats(-20, 20, width=32))
def test_both_sigmoids_are_their_tanh_rescaled(x):
    x = jnp.float32(x)
    for name in ("tanh", "rational"):
        activation = make_activation(name)
        np.testing.assert_allclose(activation.sigmoid(x), 0.5 + 0.5 * activation.tanh(0.5 * x), atol=1e-6)
    assert 0.0 <= rational_sigmoid(x) <= 1.0


def test_an_unknown_activation_is_an_input_error():
    with pytest.raises(InputError, match=r"learner\.activation='relu' .* tanh, rational"):
        make_activation("relu")
