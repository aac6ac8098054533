"""Moments against NumPy in double precision, far from zero, with masks, over parts and devices."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podmeta.outer.moments import Moments, combine, moments_of

NUM_PARTS = 4
SHAPE = (NUM_PARTS, 6, 25)  # one shape, so that everything is compiled once
EPSILON = np.finfo(np.float32).eps

moments_of_all = jax.jit(moments_of)
moments_by_part = jax.jit(lambda values, weights: combine(jax.vmap(moments_of)(values, weights)))
moments_by_device = jax.pmap(
    lambda values, weights: combine(jax.lax.all_gather(moments_of(values, weights), "devices")), axis_name="devices"
)


@st.composite
def far_from_zero(draw):
    """Numbers of any scale at any offset to 1e6, and weights of 0 and 1."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    offset = draw(st.sampled_from([0.0, 1.0, -3e2, 1e4, -1e5, 1e6]))
    spread = draw(st.sampled_from([0.0, 1.0, 30.0, 1e4]))
    between = draw(st.sampled_from([0.0, 1.0, 100.0]))
    values = offset + spread * (generator.normal(size=SHAPE) + between * generator.normal(size=(NUM_PARTS, 1, 1)))
    weights = generator.random(SHAPE) < draw(st.sampled_from([0.02, 0.5, 1.0]))
    weights[draw(st.integers(0, NUM_PARTS - 1))] &= draw(st.booleans())  # a part of which perhaps nothing counts
    values = np.where(weights, values, draw(st.sampled_from([0.0, 1e6])))
    return values.astype(np.float32), weights.astype(np.float32)


def check(moments: Moments, values, weights) -> None:
    counted = values.astype(np.float64)[weights > 0]
    np.testing.assert_allclose(moments.weight, counted.size)
    if counted.size == 0:
        assert (moments.mean, moments.variance) == (0, 0)
        return
    magnitude = np.abs(counted).max()
    np.testing.assert_allclose(moments.mean, counted.mean(), atol=4 * EPSILON * magnitude)
    # No summary of numbers of this size can know their mean any better than to their precision.
    np.testing.assert_allclose(moments.variance, counted.var(), rtol=1e-4, atol=(4 * EPSILON * magnitude) ** 2)


@given(far_from_zero())
def test_moments_are_those_of_double_precision(drawn):
    check(moments_of_all(*drawn), *drawn)


@given(far_from_zero())
def test_parts_and_devices_combine_to_the_moments_of_all(drawn):
    check(moments_by_part(*drawn), *drawn)
    by_device = jax.tree.map(np.asarray, moments_by_device(*drawn))
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, leaf[0]), by_device)
    check(jax.tree.map(lambda leaf: leaf[0], by_device), *drawn)


def test_every_number_counts_unless_weights_say_otherwise():
    moments = moments_of(jnp.array([1.0, 3.0, 8.0]))
    np.testing.assert_allclose(moments, (3, 4, 26 / 3), rtol=1e-6)


def test_nothing_has_no_moments():
    nothing = moments_of(jnp.array([5.0, 7.0]), jnp.zeros(2))
    np.testing.assert_array_equal(nothing, (0, 0, 0))
    np.testing.assert_array_equal(combine(jax.tree.map(lambda leaf: leaf[None], nothing)), (0, 0, 0))
