"""Mean and variance, over parts and devices, of float32 numbers that may be far from zero.

E[x²] − E[x]² cancels: in float32 it is wrong if the mean is 1,000 times the standard deviation. So the mean is computed
first and deviations from it are squared, and parts are combined by the formula of Chan, Golub and LeVeque (1983,
"Algorithms for Computing the Sample Variance"), which needs one exchange between devices.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Moments(NamedTuple):
    """Weight, mean and variance of weighted numbers; with a leading axis, of several parts.

    Attributes:
      weight: the sum of the weights; 0 for no numbers.
      mean: the weighted mean; 0 for no numbers.
      variance: the weighted mean of squared deviations from it; 0 for no numbers.
    """

    weight: Float[Array, "*parts"]
    mean: Float[Array, "*parts"]
    variance: Float[Array, "*parts"]


def moments_of(values: Float[Array, "..."], weights: Float[Array, "..."] | None = None) -> Moments:
    """The moments of all elements of an array.

    Args:
      values: the numbers. They must be finite even where their weight is 0.
      weights: of the same shape, not negative; None: all 1.
    """
    if weights is None:
        weights = jnp.ones_like(values)
    total = jnp.sum(weights)
    divisor = jnp.where(total > 0, total, 1.0)
    # A sum of large numbers is rounded, and so is the mean; what is left of the deviations from it corrects both.
    rough = jnp.sum(weights * values) / divisor
    correction = jnp.sum(weights * (values - rough)) / divisor
    deviations = values - rough - correction
    return Moments(total, rough + correction, jnp.sum(weights * deviations**2) / divisor)


def combine(parts: Moments) -> Moments:
    """The moments of all numbers, from those of the parts [num_parts] they are divided into (Chan et al. 1983)."""
    between = moments_of(parts.mean, parts.weight)
    divisor = jnp.where(between.weight > 0, between.weight, 1.0)
    within = jnp.sum(parts.weight * parts.variance) / divisor
    return Moments(between.weight, between.mean, within + between.variance)
