"""How a task shows its features: random signs, random mixtures, or place codes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from podmeta.environments.jax.draws import Draws

_FEWEST_PLACES = 4  # of a feature, in a place code


class View(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      weights: [num_observations, num_features] signs of single features, mixtures, or the feature that a place is of.
      centres: [num_observations] the place that each component codes, between -1 and 1.
      is_place_code: [] whether components are places, not linear.
    """

    weights: Float[Array, "num_observations num_features"]
    centres: Float[Array, "num_observations"]
    is_place_code: Bool[Array, ""]


def draw_view(draws: Draws, num_observations: int, num_features: int) -> View:
    """Draws a view. Every feature is in it.

    Args:
      draws: where its draws come from.
      num_observations: components of an observation, at least `num_features`.
      num_features: features.

    Returns:
      Signs, mixtures or, where there are enough components, place codes; each equally likely.
    """
    num_places = num_observations // num_features
    kind = draws.integer(0, 3 if num_places >= _FEWEST_PLACES else 2)
    order = draws.permutation(num_observations)
    single = jax.nn.one_hot(order % num_features, num_features)
    mixed = draws.normal((num_observations, num_features)) / np.sqrt(num_features)
    weights = jnp.select([kind == 0, kind == 1], [draws.sign((num_observations, 1)) * single, mixed], single)
    # Components that are left over repeat the first places.
    centres = 2.0 * (order // num_features % num_places) / max(1, num_places - 1) - 1.0
    return View(weights, centres, kind == 2)


def show(view: View, features: Float[Array, "num_features"]) -> Float[Array, "num_observations"]:
    """The observation of the features, which a place code expects between -1 and 1.

    Of the places of a feature, the two nearest to its value are active, and their activities add up to 1.
    """
    # Sums of products are faster here than a product of matrices, of which every lifetime has its own.
    linear = jnp.sum(view.weights * features, axis=-1)
    num_observations, num_features = view.weights.shape
    num_places = num_observations // num_features
    if num_places < _FEWEST_PLACES:
        return linear
    distances = jnp.abs(jnp.clip(linear, -1, 1) - view.centres) * (num_places - 1) / 2
    return jnp.where(view.is_place_code, jnp.maximum(0.0, 1.0 - distances), linear)
