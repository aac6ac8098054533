"""Observations scaled by what a lifetime has shown of them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams, as_numbers


class ScaledState(NamedTuple):
    """The state of a learner whose observations are scaled.

    Attributes:
      largest: [observation_size] the largest magnitude that each observation component has had in this lifetime.
      inner: the state of the learner inside.
    """

    largest: Float[Array, "observation_size"]
    inner: LearnerState


def with_scaled_observations(learner: Learner, observation_size: int) -> Learner:
    """A learner that sees every observation component divided by the largest magnitude it has had in the lifetime.

    So all components lie within ±1 whatever their unit, zero stays zero, and what is one-hot or constantly 1 stays as
    it is. θ is that of the learner inside.

    Args:
      learner: the learner inside.
      observation_size: number of observation components; an observation may have any shape.
    """

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> ScaledState:
        return ScaledState(jnp.zeros(observation_size), learner.initial_state(meta_params, key))

    def step(
        meta_params: MetaParams, state: ScaledState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, ScaledState]:
        observation = as_numbers(learner_input.observation)
        largest = jnp.maximum(state.largest, jnp.abs(observation.reshape(-1)))
        scaled = observation / jnp.where(largest > 0, largest, 1.0).reshape(observation.shape)
        output, inner = learner.step(meta_params, state.inner, learner_input._replace(observation=scaled))
        return output, ScaledState(largest, inner)

    return Learner(learner.init, initial_state, step)
