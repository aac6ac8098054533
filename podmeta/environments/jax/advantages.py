"""Advantages of a teacher on one scale, whatever the environment."""

import jax.numpy as jnp
from jaxtyping import Array, Float

_ROUNDING = 1e-5  # relative to the values: smaller gaps between actions may be rounding errors


def advantage_gap(action_values: Float[Array, "*states num_actions"]) -> Float[Array, "*states"]:
    """The value of the best action minus the mean over actions."""
    return jnp.max(action_values, axis=-1) - jnp.mean(action_values, axis=-1)


def normalise_advantages(
    action_values: Float[Array, "*states num_actions"], smallest_gap: Float[Array, ""] | float
) -> Float[Array, "*states num_actions"]:
    """The advantage of every action over the best one, in units of the state's own gap.

    The best action has 0, and the mean over actions is -1, so a policy's expected advantage is 0 if it only takes the
    best action and -1 if it is uniform. If actions hardly differ, the mean lies between -1 and 0; if they are equal,
    all have 0.

    Args:
      action_values: the teacher's value of every action, in any unit and with any offset.
      smallest_gap: a lower bound on gaps, so that negligible differences are not magnified.
    """
    largest = jnp.max(jnp.abs(action_values), axis=-1)
    gap = jnp.maximum(advantage_gap(action_values), smallest_gap + _ROUNDING * largest)
    best = jnp.max(action_values, axis=-1, keepdims=True)
    return (action_values - best) / jnp.where(gap > 0, gap, 1.0)[..., None]
