"""Observations and rewards, scaled by their statistics over the lifetime so far.

The inputs of a learner wrapped in these do not depend on the units of a task's observations and rewards. θ is that of
the inner learner.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams, as_numbers

REWARD_WINDOW = 200.0  # the running mean of rewards is that of all rewards at first, then of about the last 200


class ScaledState(NamedTuple):
    """The state of a learner whose observations are scaled.

    Attributes:
      largest: [observation_size] the largest magnitude of each observation component so far in this lifetime.
      inner: the state of the inner learner.
    """

    largest: Float[Array, "observation_size"]
    inner: LearnerState


def with_scaled_observations(learner: Learner, observation_size: int) -> Learner:
    """A learner whose observation components are divided by their largest magnitude so far in the lifetime.

    So all components lie within ±1, and zeros, one-hot components and constant ones do not change.

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
        scaled = observation / _or_one(largest).reshape(observation.shape)
        output, inner = learner.step(meta_params, state.inner, learner_input._replace(observation=scaled))
        return output, ScaledState(largest, inner)

    return Learner(learner.init, initial_state, step)


class RewardStatistics(NamedTuple):
    """Statistics of the rewards of a lifetime so far.

    Attributes:
      num_rewards: [] their number.
      mean: [] their running mean.
      largest: [] their largest magnitude.
      largest_deviation: [] the largest distance of a reward from the running mean of those before it.
    """

    num_rewards: Float[Array, ""]
    mean: Float[Array, ""]
    largest: Float[Array, ""]
    largest_deviation: Float[Array, ""]


class NormalisedState(NamedTuple):
    """The state of a learner whose rewards are normalised.

    Attributes:
      rewards: the statistics of its rewards.
      inner: the state of the inner learner.
    """

    rewards: RewardStatistics
    inner: LearnerState


def with_normalised_rewards(learner: Learner, centred: bool = True) -> Learner:
    """A learner whose rewards are normalised by their statistics over the lifetime so far.

    It gets each reward in two forms. `LearnerInput.reward` is divided by the largest magnitude of rewards so far: it
    keeps its sign and does not depend on the unit. `LearnerInput.centred_reward` is the distance from the running mean,
    divided by the largest such distance: it depends on neither unit nor offset. Both lie within ±1, and both are 0 at
    an episode start, where there is no reward.

    Args:
      learner: the learner inside.
      centred: whether it gets the centred reward, which needs a θ that was trained with it.
    """

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> NormalisedState:
        nothing = jnp.zeros(())
        return NormalisedState(
            RewardStatistics(nothing, nothing, nothing, nothing), learner.initial_state(meta_params, key)
        )

    def step(
        meta_params: MetaParams, state: NormalisedState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, NormalisedState]:
        rewards, scaled, distance = normalise_reward(state.rewards, learner_input.reward, learner_input.episode_start)
        normalised = learner_input._replace(reward=scaled, centred_reward=distance if centred else None)
        output, inner = learner.step(meta_params, state.inner, normalised)
        return output, NormalisedState(rewards, inner)

    return Learner(learner.init, initial_state, step)


def normalise_reward(
    statistics: RewardStatistics, reward: Float[Array, ""], episode_start: Float[Array, ""]
) -> tuple[RewardStatistics, Float[Array, ""], Float[Array, ""]]:
    """The statistics including this reward, the scaled reward, and the centred and scaled reward."""
    counts = 1.0 - episode_start  # no action led to the first time step of an episode, so it has no reward
    num_rewards = statistics.num_rewards + counts
    deviation = jnp.where(statistics.num_rewards > 0, counts * (reward - statistics.mean), 0.0)
    largest = jnp.maximum(statistics.largest, counts * jnp.abs(reward))
    largest_deviation = jnp.maximum(statistics.largest_deviation, jnp.abs(deviation))
    weight = counts / jnp.clip(num_rewards, 1.0, REWARD_WINDOW)
    mean = statistics.mean + weight * (reward - statistics.mean)
    updated = RewardStatistics(num_rewards, mean, largest, largest_deviation)
    return updated, counts * reward / _or_one(largest), deviation / _or_one(largest_deviation)


def _or_one(scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The scale, or 1 if there were only zeros."""
    return jnp.where(scale > 0, scale, 1.0)
