"""The perturbations of evolution: noise on θ, of full or of low rank."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.learners.base import MetaParams
from podmeta.learners.linear import LowRankMatrix

Noise = Any  # a pytree like θ, with Factors in the place of matrices perturbed at low rank


class Factors(NamedTuple):
    """The perturbation `left @ right.T / sqrt(rank)` of a matrix (EGGROLL, Sarkar et al. 2025).

    Attributes:
      left: [num_inputs, rank] standard normal.
      right: [num_outputs, rank] standard normal.
    """

    left: Float[Array, "num_inputs rank"]
    right: Float[Array, "num_outputs rank"]


def sample_noise(key: PRNGKeyArray, meta_params: MetaParams, rank: int) -> Noise:
    """Standard normal noise for every leaf of θ; matrices get `Factors` when `rank` > 0."""
    leaves, structure = jax.tree.flatten(meta_params)
    keys = jax.random.split(key, len(leaves))
    return structure.unflatten([_leaf_noise(k, leaf, rank) for k, leaf in zip(keys, leaves, strict=True)])


def perturb(meta_params: MetaParams, noise: Noise, scale: Float[Array, ""]) -> MetaParams:
    """θ + scale * noise. Matrices perturbed at low rank become `LowRankMatrix`."""

    def perturb_leaf(leaf: Array, leaf_noise: Array | Factors) -> Array | LowRankMatrix:
        if isinstance(leaf_noise, Factors):
            rank = leaf_noise.left.shape[1]
            return LowRankMatrix(leaf, scale * rank**-0.5 * leaf_noise.left, leaf_noise.right)
        return leaf + scale * leaf_noise

    return jax.tree.map(perturb_leaf, meta_params, noise)


def weighted_sum(noise: Noise, weights: Float[Array, "num_pairs"]) -> MetaParams:
    """Sum of noise [num_pairs, ...] over pairs, weighted: a pytree like θ."""

    def sum_leaf(leaf_noise: Array | Factors) -> Array:
        if isinstance(leaf_noise, Factors):
            rank = leaf_noise.left.shape[-1]
            return rank**-0.5 * jnp.einsum("p,pir,por->io", weights, leaf_noise.left, leaf_noise.right)
        return jnp.tensordot(weights, leaf_noise, axes=1)

    return jax.tree.map(sum_leaf, noise, is_leaf=lambda leaf: isinstance(leaf, Factors))


def _leaf_noise(key: PRNGKeyArray, leaf: Array, rank: int) -> Array | Factors:
    if rank == 0 or leaf.ndim != 2:
        return jax.random.normal(key, leaf.shape)
    left_key, right_key = jax.random.split(key)
    num_inputs, num_outputs = leaf.shape
    return Factors(
        jax.random.normal(left_key, (num_inputs, rank)), jax.random.normal(right_key, (num_outputs, rank))
    )
