"""Observations and rewards in units of what the lifetime has shown of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from podmeta.config.schema import RecurrentConfig, SymmetricConfig
from podmeta.learners.base import LearnerInput
from podmeta.learners.normalisation import RewardStatistics, normalise_reward
from podmeta.learners.registry import make_learner
from tests.learners.scripted_lifetimes import compiled_rollout, draw_lifetime

SHAPE, NUM_STEPS, NUM_ACTIONS = (3, 1), 6, 2
CONFIGS = {
    "symmetric": SymmetricConfig(hidden_size=4, message_size=2),
    "recurrent": RecurrentConfig(hidden_size=4),
}


def make(name, scale_observations):
    config = CONFIGS[name]
    config = type(config)(**vars(config) | {"scale_observations": scale_observations})
    return make_learner(config, SHAPE, NUM_ACTIONS, 1)


@pytest.fixture(scope="module")
def policies():
    """(learner's name, scaled?, observations [NUM_STEPS, 3, 1]) -> the policies at every step."""

    def compiled(name, scaled):
        learner = make(name, scaled)
        meta_params = make(name, False).init(jax.random.key(0))

        def step(state, observation):
            output, state = learner.step(
                meta_params, state, LearnerInput(observation, jnp.zeros(NUM_ACTIONS), jnp.ones(()), jnp.zeros(()))
            )
            return state, output.policy

        state = learner.initial_state(meta_params, jax.random.key(1))
        return jax.jit(lambda observations: jax.lax.scan(step, state, observations)[1])

    programs = {(name, scaled): compiled(name, scaled) for name in CONFIGS for scaled in (True, False)}
    return lambda name, scaled, observations: np.asarray(programs[name, scaled](observations))


floats = st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 0.01)
observations = st_numpy.arrays(np.float32, (NUM_STEPS, *SHAPE), elements=floats)


@pytest.mark.parametrize("name", CONFIGS)
@given(observations)
def test_it_is_the_learner_inside_on_observations_over_their_largest_so_far(policies, name, observations):
    largest = np.maximum.accumulate(np.abs(observations))
    scaled = observations / np.where(largest > 0, largest, 1)
    np.testing.assert_allclose(policies(name, True, observations), policies(name, False, scaled), atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
@given(observations, st.tuples(*[st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**20])] * 3))
def test_units_do_not_matter(policies, name, observations, factors):
    in_other_units = observations * np.reshape(factors, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(policies(name, True, observations), policies(name, True, in_other_units))


@given(st.lists(st.integers(0, 2), min_size=NUM_STEPS, max_size=NUM_STEPS))
def test_one_hot_observations_stay_as_they_are(policies, contexts):
    one_hot = np.eye(3, dtype=np.float32)[contexts].reshape(NUM_STEPS, *SHAPE)
    np.testing.assert_allclose(policies("symmetric", True, one_hot), policies("symmetric", False, one_hot), atol=1e-5)


def normalised(rewards, episode_starts):
    """The scaled and the centred rewards of a lifetime."""

    def step(statistics, inputs):
        statistics, scaled, centred = normalise_reward(statistics, *inputs)
        return statistics, (scaled, centred)

    zero = jnp.zeros(())
    start = RewardStatistics(zero, zero, zero, zero)
    inputs = (jnp.asarray(rewards, jnp.float32), jnp.asarray(episode_starts, jnp.float32))
    return tuple(map(np.asarray, jax.lax.scan(step, start, inputs)[1]))


rewards = st_numpy.arrays(np.float32, 30, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
starts = st_numpy.arrays(np.bool_, 30)


@given(rewards, starts, st.sampled_from([1e-30, 1e-6, 0.1, 10.0, 1e6, 1e30]))
def test_the_unit_of_rewards_does_not_matter(rewards, starts, unit):
    for actual, expected in zip(
        normalised(np.float32(unit) * rewards, starts), normalised(rewards, starts), strict=True
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-4)


@given(rewards, starts, st.sampled_from([-8.0, -1.0, 1.0, 8.0]))
def test_the_offset_of_rewards_does_not_matter_to_the_centred_reward(rewards, starts, offset):
    assume(np.ptp(rewards[~starts]) > 0 if np.any(~starts) else False)
    np.testing.assert_allclose(normalised(rewards + offset, starts)[1], normalised(rewards, starts)[1], atol=1e-3)


@given(rewards, starts)
def test_normalised_rewards_lie_within_one_and_there_is_none_at_an_episode_start(rewards, starts):
    for numbers in normalised(rewards, starts):
        assert np.abs(numbers).max() <= 1.0
        assert not numbers[starts].any()


def test_a_constant_reward_keeps_its_sign_and_is_never_better_than_the_others():
    for sign in (-1.0, 1.0):
        scaled, centred = normalised(np.full(30, 3.0 * sign), np.arange(30) == 0)
        np.testing.assert_array_equal(scaled[1:], np.full(29, sign))
        np.testing.assert_array_equal(centred, np.zeros(30))


def test_the_running_mean_is_that_of_the_rewards_before():
    scaled, centred = normalised([0.0, 2.0, 4.0, 0.0, 9.0], [True, False, False, True, False])
    np.testing.assert_allclose(scaled, [0, 1, 1, 0, 1])
    np.testing.assert_allclose(centred, [0, 0, 1, 0, 1])  # 4 - 2 = 2 is the largest distance; then 9 - 3 = 6
    _, centred = normalised([0.0, 2.0, 5.0, 5.0], [True, False, False, False])
    np.testing.assert_allclose(centred, [0, 0, 1, 0.5])  # 5 - 3.5 = 1.5 of 3


@pytest.mark.parametrize("name", CONFIGS)
def test_every_learner_takes_normalised_rewards(name):
    config = dataclasses.replace(CONFIGS[name], normalise_rewards=True)
    learner = make_learner(config, SHAPE, NUM_ACTIONS, 1)
    meta_params = learner.init(jax.random.key(0))
    inputs = draw_lifetime(3, NUM_ACTIONS, 12, centred=False)
    inputs = inputs._replace(observation=inputs.observation.reshape(-1, *SHAPE))
    program = compiled_rollout(learner.step)
    state = learner.initial_state(meta_params, jax.random.key(1))
    policies, tenfold, other = (
        program(meta_params, state, inputs._replace(reward=rewards))[0].policy
        for rewards in (inputs.reward, 10 * inputs.reward, np.zeros_like(inputs.reward))
    )
    np.testing.assert_allclose(tenfold, policies, atol=1e-5)
    assert np.abs(policies - other).max() > 1e-4
