"""Noise of full and of low rank: its distribution, and that its sums are those of the matrices it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.learners.linear import LowRankMatrix
from podmeta.outer.perturbations import Factors, only, perturb, sample_noise, unused_beginnings, weighted_sum

META_PARAMS = {
    "matrix": jnp.arange(12.0).reshape(3, 4),
    "layer": {"bias": jnp.ones(4), "scale": jnp.ones(()), "kernel": jnp.ones((2, 3, 2))},
}
RANKS = [0, 1, 2]


def sample_many(rank, number):
    keys = jax.random.split(jax.random.key(0), number)
    return jax.jit(jax.vmap(lambda key: sample_noise(key, META_PARAMS, rank)))(keys)


def materialise(noise):
    """Noise, of one pair or [num_pairs, ...], as a pytree like θ."""

    def whole(leaf):
        if isinstance(leaf, Factors):
            rank = leaf.left.shape[-1]
            return np.asarray(leaf.left) @ np.swapaxes(leaf.right, -1, -2) / np.sqrt(rank)
        return np.asarray(leaf)

    return jax.tree.map(whole, noise, is_leaf=lambda leaf: isinstance(leaf, Factors))


def flatten(tree, num_pairs):
    return np.concatenate([np.asarray(leaf).reshape(num_pairs, -1) for leaf in jax.tree.leaves(tree)], axis=1)


@pytest.mark.parametrize("rank", RANKS)
def test_the_entries_of_noise_are_standard_and_uncorrelated(rank):
    number = 20_000
    entries = flatten(materialise(sample_many(rank, number)), number)
    # At rank 1 the square of an entry u v has variance 8, and estimates scatter by its root over the number of samples.
    tolerance = 5 * np.sqrt(8 / number)
    np.testing.assert_allclose(entries.mean(axis=0), 0.0, atol=5 / np.sqrt(number))
    np.testing.assert_allclose(np.cov(entries.T), np.eye(entries.shape[1]), atol=tolerance)


@pytest.mark.parametrize("rank", RANKS)
def test_only_matrices_are_factored(rank):
    noise = sample_noise(jax.random.key(0), META_PARAMS, rank)
    if rank == 0:
        assert noise["matrix"].shape == (3, 4)
    else:
        assert (noise["matrix"].left.shape, noise["matrix"].right.shape) == ((3, rank), (4, rank))
    assert jax.tree.map(jnp.shape, noise["layer"]) == jax.tree.map(jnp.shape, META_PARAMS["layer"])


@pytest.mark.parametrize("rank", RANKS)
def test_a_perturbation_adds_the_scaled_noise(rank):
    noise = sample_noise(jax.random.key(1), META_PARAMS, rank)
    perturbed = perturb(META_PARAMS, noise, jnp.array(-0.3))
    matrix = perturbed["matrix"]
    if rank > 0:
        assert isinstance(matrix, LowRankMatrix)
        perturbed = {**perturbed, "matrix": matrix.base + matrix.left @ matrix.right.T}
    expected = jax.tree.map(lambda leaf, change: leaf - 0.3 * change, META_PARAMS, materialise(noise))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), perturbed, expected)


@pytest.mark.parametrize("rank", RANKS)
def test_the_weighted_sum_is_that_of_the_materialised_noise(rank):
    noise = sample_many(rank, 5)
    weights = np.array([0.5, -1.0, 0.0, 2.0, 0.1], np.float32)
    summed = weighted_sum(noise, jnp.asarray(weights))
    expected = jax.tree.map(lambda leaf: np.tensordot(weights, leaf, axes=1), materialise(noise))
    assert jax.tree.map(jnp.shape, summed) == jax.tree.map(jnp.shape, META_PARAMS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), summed, expected)


@pytest.mark.parametrize("rank", RANKS)
def test_noise_may_be_on_some_parameters_only(rank):
    noise = sample_noise(jax.random.key(0), META_PARAMS, rank)
    kept = materialise(only(["mat", "bias"], META_PARAMS, noise))
    whole = materialise(noise)
    np.testing.assert_array_equal(kept["matrix"], whole["matrix"])
    np.testing.assert_array_equal(kept["layer"]["bias"], whole["layer"]["bias"])
    assert not kept["layer"]["scale"].any()
    assert not kept["layer"]["kernel"].any()


def test_the_beginnings_that_no_parameter_has_are_found():
    assert unused_beginnings(["mat", "layer", "ker", "bias_"], META_PARAMS) == ["layer", "bias_"]
