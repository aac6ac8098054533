"""The perturbations of evolution: noise on θ, of full or of low rank."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from podmeta.learners.base import MetaParams
from podmeta.learners.linear import LowRankMatrix

Perturbation: TypeAlias = PyTree  # a pytree like θ, with Factors in the place of matrices perturbed at low rank


class Factors(NamedTuple):
    """The perturbation `left @ right.T / sqrt(rank)` of a matrix (EGGROLL, Sarkar et al. 2025).

    Attributes:
      left: [num_inputs, rank] standard normal.
      right: [num_outputs, rank] standard normal.
    """

    left: Float[Array, "num_inputs rank"]
    right: Float[Array, "num_outputs rank"]


def sample_noise(key: PRNGKeyArray, meta_params: MetaParams, rank: int) -> Perturbation:
    """Standard normal noise for every leaf of θ; matrices get `Factors` when `rank` > 0."""
    leaves, structure = jax.tree.flatten(meta_params)
    # One draw for all of θ: many small ones take longer, to compile and to run.
    sizes = [_num_draws(leaf, rank) for leaf in leaves]
    draws = jnp.split(jax.random.normal(key, (sum(sizes),), jnp.float32), np.cumsum(sizes)[:-1])
    noise = [_shape_like(leaf, drawn, rank) for leaf, drawn in zip(leaves, draws, strict=True)]
    return jax.tree.unflatten(structure, noise)


def perturb(meta_params: MetaParams, noise: Perturbation, scale: Float[Array, ""]) -> MetaParams:
    """θ + scale * noise. Matrices perturbed at low rank become `LowRankMatrix`."""

    def perturb_leaf(leaf: Array, leaf_noise: Array | Factors) -> Array | LowRankMatrix:
        if isinstance(leaf_noise, Factors):
            rank = leaf_noise.left.shape[1]
            return LowRankMatrix(leaf, scale * rank**-0.5 * leaf_noise.left, leaf_noise.right)
        return leaf + scale * leaf_noise

    return jax.tree.map(perturb_leaf, meta_params, noise)


def only(beginnings: Sequence[str], meta_params: MetaParams, noise: Perturbation) -> Perturbation:
    """Noise on the parameters whose names start with one of `beginnings`; 0 on the others."""

    def silence(path: tuple[Any, ...], leaf: Array, leaf_noise: Array | Factors) -> Array | Factors:
        del leaf
        if _name(path).startswith(tuple(beginnings)):
            return leaf_noise
        return jax.tree.map(jnp.zeros_like, leaf_noise)

    return jax.tree_util.tree_map_with_path(silence, meta_params, noise)


def parameter_names(meta_params: MetaParams) -> list[str]:
    """The names of θ's parameters, without those of their modules."""
    return [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(meta_params)]


def unused_beginnings(beginnings: Sequence[str], meta_params: MetaParams) -> list[str]:
    """The prefixes that no parameter of θ has."""
    names = parameter_names(meta_params)
    return [beginning for beginning in beginnings if not any(name.startswith(beginning) for name in names)]


def _name(path: tuple[Any, ...]) -> str:
    """The last part of a path, such as bias of ['symmetric']['bias']."""
    return jax.tree_util.keystr(path[-1:], simple=True)


def weighted_sum(noise: Perturbation, weights: Float[Array, "num_pairs"]) -> MetaParams:
    """Sum of noise [num_pairs, ...] over pairs, weighted: a pytree like θ."""

    def sum_leaf(leaf_noise: Array | Factors) -> Array:
        if isinstance(leaf_noise, Factors):
            rank = leaf_noise.left.shape[-1]
            return rank**-0.5 * jnp.einsum("p,pir,por->io", weights, leaf_noise.left, leaf_noise.right)
        return jnp.tensordot(weights, leaf_noise, axes=1)

    return jax.tree.map(sum_leaf, noise, is_leaf=lambda leaf: isinstance(leaf, Factors))


def _num_draws(leaf: Array, rank: int) -> int:
    return leaf.size if rank == 0 or leaf.ndim != 2 else rank * sum(leaf.shape)


def _shape_like(leaf: Array, drawn: Float[Array, "num_draws"], rank: int) -> Array | Factors:
    if rank == 0 or leaf.ndim != 2:
        return drawn.reshape(leaf.shape)
    num_inputs, num_outputs = leaf.shape
    left, right = jnp.split(drawn, [num_inputs * rank])
    return Factors(left.reshape(num_inputs, rank), right.reshape(num_outputs, rank))
