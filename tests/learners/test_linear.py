import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podmeta.learners.linear import Linear, LowRankMatrix, get_matrix, leading_rows, matmul

lengths = st.integers(1, 4)


@given(lengths, lengths, st.integers(1, 3), st.integers(0, 4), st.integers(0, 99))
def test_products_with_a_low_rank_matrix_are_those_with_the_whole(num_inputs, num_outputs, rank, num_rows, seed):
    generator = np.random.default_rng(seed)

    def draw(*shape):
        return jnp.asarray(generator.normal(size=shape), jnp.float32)

    matrix = LowRankMatrix(draw(num_inputs, num_outputs), draw(num_inputs, rank), draw(num_outputs, rank))
    whole = matrix.base + matrix.left @ matrix.right.T
    assert (matrix.shape, matrix.dtype) == (whole.shape, whole.dtype)
    inputs = draw(2, num_inputs)
    np.testing.assert_allclose(matmul(inputs, matrix), inputs @ whole, atol=1e-5)
    num_rows = min(num_rows, num_inputs)
    some = inputs[:, :num_rows]
    np.testing.assert_allclose(matmul(some, leading_rows(matrix, num_rows)), some @ whole[:num_rows], atol=1e-5)
    np.testing.assert_array_equal(leading_rows(whole, num_rows), whole[:num_rows])


def test_matrices_are_born_with_the_standard_deviation_of_their_fan_in():
    def network():
        return get_matrix("own", 400, 100), get_matrix("given", 400, 100, fan_in=25)

    meta_params = hk.transform(network).init(jax.random.key(0))["~"]
    # A normal truncated at two standard deviations has 0.88 of its standard deviation.
    np.testing.assert_allclose(np.std(meta_params["own"]), 0.88 * 400**-0.5, rtol=0.02)
    np.testing.assert_allclose(np.std(meta_params["given"]), 0.88 * 25**-0.5, rtol=0.02)


def test_linear_is_haikus():
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5)), jnp.float32)
    ours = hk.without_apply_rng(hk.transform(lambda x: Linear(4, name="layer")(x)))
    oracle = hk.without_apply_rng(hk.transform(lambda x: hk.Linear(4, name="layer")(x)))
    meta_params = jax.tree.map(lambda leaf: leaf + 0.5, ours.init(jax.random.key(0), inputs))
    np.testing.assert_allclose(ours.apply(meta_params, inputs), oracle.apply(meta_params, inputs), rtol=1e-5, atol=1e-6)
