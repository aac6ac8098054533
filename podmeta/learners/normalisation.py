"""Observations and rewards, scaled by their statistics over the lifetime so far.

The inputs of a learner wrapped in these do not depend on the units of a task's observations and rewards. θ is that of
the inner learner.
"""

from typing import Any, NamedTuple

import jax
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

    def unroll(meta_params: MetaParams, state: ScaledState, inputs: LearnerInput) -> tuple[LearnerOutput, ScaledState]:
        assert learner.unroll is not None
        observations = as_numbers(inputs.observation)
        magnitudes = jnp.abs(observations.reshape(len(observations), -1))
        largest = jnp.maximum(jax.lax.cummax(magnitudes), state.largest)
        scaled = observations / _or_one(largest).reshape(observations.shape)
        outputs, inner = learner.unroll(meta_params, state.inner, inputs._replace(observation=scaled))
        return outputs, ScaledState(largest[-1], inner)

    return Learner(learner.init, initial_state, step, None if learner.unroll is None else unroll)


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

    def unroll(
        meta_params: MetaParams, state: NormalisedState, inputs: LearnerInput
    ) -> tuple[LearnerOutput, NormalisedState]:
        assert learner.unroll is not None
        rewards, scaled, distances = normalise_rewards(state.rewards, inputs.reward, inputs.episode_start)
        normalised = inputs._replace(reward=scaled, centred_reward=distances if centred else None)
        outputs, inner = learner.unroll(meta_params, state.inner, normalised)
        return outputs, NormalisedState(rewards, inner)

    return Learner(learner.init, initial_state, step, None if learner.unroll is None else unroll)


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


def normalise_rewards(
    statistics: RewardStatistics, rewards: Float[Array, "num_steps"], episode_starts: Float[Array, "num_steps"]
) -> tuple[RewardStatistics, Float[Array, "num_steps"], Float[Array, "num_steps"]]:
    """As `normalise_reward`, of one reward after the other. A scan of so few numbers takes no time to speak of."""

    def normalise(statistics: RewardStatistics, shown: tuple[Array, Array]) -> tuple[RewardStatistics, Any]:
        statistics, *normalised = normalise_reward(statistics, *shown)
        return statistics, normalised

    statistics, (scaled, centred) = jax.lax.scan(normalise, statistics, (rewards, episode_starts))
    return statistics, scaled, centred


def _or_one(scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The scale, or 1 if there were only zeros."""
    return jnp.where(scale > 0, scale, 1.0)
