"""Running statistics of value targets, by which actor-critic normalises values."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

_DECAY = 0.99  # per gradient step
_SMALLEST_STD = 1e-2  # so that a reward that never changes blows nothing up


class ValueStatistics(NamedTuple):
    """Running statistics of the value targets, by which values are normalised.

    Attributes:
      mean: [] discounted sum of means.
      mean_square: [] discounted sum of means of squares.
      weight: [] the sum of the weights so far, which corrects the start.
    """

    mean: Float[Array, ""]
    mean_square: Float[Array, ""]
    weight: Float[Array, ""]


def no_statistics() -> ValueStatistics:
    """Statistics that have seen no target."""
    return ValueStatistics(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))


def mean_and_std(statistics: ValueStatistics) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation of value targets; 0 and 1 before any was seen."""
    seen = statistics.weight > 0
    weight = jnp.where(seen, statistics.weight, 1.0)
    mean = statistics.mean / weight
    variance = statistics.mean_square / weight - mean**2
    std = jnp.maximum(jnp.sqrt(jnp.maximum(variance, 0.0)), _SMALLEST_STD)
    return mean, jnp.where(seen, std, 1.0)


def updated_statistics(
    statistics: ValueStatistics, moments: tuple[Float[Array, ""], Float[Array, ""]]
) -> ValueStatistics:
    """The statistics after one more gradient step, whose targets had these moments: mean and mean square, each []."""

    def moved(old: Float[Array, ""], new: Float[Array, ""] | float) -> Float[Array, ""]:
        return _DECAY * old + (1.0 - _DECAY) * new

    mean, mean_square = moments
    return ValueStatistics(
        moved(statistics.mean, mean), moved(statistics.mean_square, mean_square), moved(statistics.weight, 1.0)
    )
