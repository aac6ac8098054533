"""How a task shows its features: random signs, random mixtures, or place codes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from podmeta.environments.jax.draws import Draws

_PLACES = 4  # place codes are drawn where every feature gets at least so many components


class View(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      weights: [num_observations, num_features] the linear views: signs of single features, or mixtures.
      order: [num_observations] which place each component codes: feature `order % num_features`, centre
        `order // num_features`.
      is_place_code: [] whether components are places, not linear.
    """

    weights: Float[Array, "num_observations num_features"]
    order: Int[Array, "num_observations"]
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
    kind = draws.integer(0, 3 if num_observations >= _PLACES * num_features else 2)
    order = draws.permutation(num_observations)
    single = draws.sign((num_observations, 1)) * jax.nn.one_hot(order % num_features, num_features)
    mixed = draws.normal((num_observations, num_features)) / np.sqrt(num_features)
    return View(jnp.where(kind == 0, single, mixed), order, kind == 2)


def show(view: View, features: Float[Array, "num_features"]) -> Float[Array, "num_observations"]:
    """The observation of the features, which a place code expects between -1 and 1.

    Of the places of a feature, the two nearest to its value are active, and their activities add up to 1.
    """
    linear = view.weights @ features
    num_observations, num_features = view.weights.shape
    num_places = num_observations // num_features
    if num_places < _PLACES:
        return linear
    # Components that are left over repeat the first places.
    centres = 2.0 * (view.order // num_features % num_places) / (num_places - 1) - 1.0
    distances = jnp.abs(jnp.clip(features[view.order % num_features], -1, 1) - centres) * (num_places - 1) / 2
    return jnp.where(view.is_place_code, jnp.maximum(0.0, 1.0 - distances), linear)
