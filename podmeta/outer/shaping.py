"""Fitness shaping: from the fitnesses of a population to the weights of its members."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.outer.moments import moments_of

Fitness = Float[Array, "population_size"]


def centred_rank(fitness: Fitness) -> Fitness:
    """Ranks scaled to [-0.5, 0.5] (Salimans et al. 2017, section 2.1). Equal fitnesses share their mean rank."""
    in_order = jnp.sort(fitness)
    first = jnp.searchsorted(in_order, fitness, side="left")
    last = jnp.searchsorted(in_order, fitness, side="right") - 1
    return 0.5 * (first + last).astype(fitness.dtype) / (fitness.size - 1) - 0.5


def z_score(fitness: Fitness) -> Fitness:
    """Mean 0 and standard deviation 1; zeros where all are equal."""
    _, mean, variance = moments_of(fitness)
    std = jnp.sqrt(variance)
    # Where all are equal, std may be a rounding error; where they hardly differ, it may underflow to 0.
    flat = (jnp.max(fitness) == jnp.min(fitness)) | (std == 0)
    return jnp.where(flat, 0.0, (fitness - mean) / jnp.where(flat, 1.0, std))


def raw(fitness: Fitness) -> Fitness:
    """The fitness itself."""
    return fitness


SHAPINGS: dict[str, Callable[[Fitness], Fitness]] = {
    "centred_rank": centred_rank,
    "z_score": z_score,
    "raw": raw,
}
