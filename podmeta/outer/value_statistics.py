"""Running statistics of value targets, with which actor-critic normalises values."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.outer.moments import Moments

_DECAY = 0.99  # per gradient step
_SMALLEST_STD = 1e-2  # so that a reward that never changes blows nothing up


class ValueStatistics(NamedTuple):
    """Running mean and variance of value targets. Each gradient step has 0.99 times the weight of the next.

    Attributes:
      weight: [] the sum of the weights so far; it approaches 1.
      mean: [] the weighted mean.
      mean_remainder: [] the rounding error of `mean`. Without it, a mean of 1e6 would never change, because a hundredth
        of a step's deviation would be rounded away.
      variance: [] the weighted mean of squared deviations from the mean.
    """

    weight: Float[Array, ""]
    mean: Float[Array, ""]
    mean_remainder: Float[Array, ""]
    variance: Float[Array, ""]


def no_statistics() -> ValueStatistics:
    """Statistics of no targets."""
    zero = jnp.zeros((), jnp.float32)
    return ValueStatistics(zero, zero, zero, zero)


def mean_and_std(statistics: ValueStatistics) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation of value targets; 0 and 1 before any was seen."""
    std = jnp.maximum(jnp.sqrt(statistics.variance), _SMALLEST_STD)
    return statistics.mean, jnp.where(statistics.weight > 0, std, 1.0)


def updated_statistics(statistics: ValueStatistics, targets: Moments) -> ValueStatistics:
    """The statistics after one more gradient step, from the moments of its value targets.

    Every step has the same weight, whatever its number of targets. A step without targets changes nothing.
    """
    earlier, latest = _DECAY * statistics.weight, 1.0 - _DECAY
    weight = earlier + latest
    share = latest / weight
    deviation = (targets.mean - statistics.mean) - statistics.mean_remainder
    move = statistics.mean_remainder + share * deviation
    mean = statistics.mean + move
    updated = ValueStatistics(
        weight=weight,
        mean=mean,
        mean_remainder=move - (mean - statistics.mean),
        variance=(1.0 - share) * (statistics.variance + share * deviation**2) + share * targets.variance,
    )
    return jax.tree.map(lambda new, old: jnp.where(targets.weight > 0, new, old), updated, statistics)
