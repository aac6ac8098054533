"""Lifetimes on a scripted environment: the learner's inputs at every step, and what it keeps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs
from jaxtyping import Array

from podmeta.config.schema import BanditConfig, RandomMDPConfig, SymmetricConfig
from podmeta.environments.base import Environment, restart, transition
from podmeta.inner_loop import build_inner_loop, make_inner_loop
from podmeta.learners.base import Learner, LearnerOutput
from podmeta.learners.policies import make_policy

EPISODE_LENGTH, NUM_ACTIONS = 3, 4


class Scripted(Environment):
    """Episodes of three steps, which end by termination or by truncation, as the reset draws.

    The task is a number. After step n of an episode the observation is [task, n]; action a earns 10 n + a.
    """

    class State(NamedTuple):
        step: Array
        terminates: Array

    def observation_spec(self):
        return specs.Array((2,), np.float32)

    def action_spec(self):
        return specs.DiscreteArray(NUM_ACTIONS)

    def sample_task(self, key):
        return jax.random.uniform(key)

    def reset(self, key, task):
        terminates = jax.random.bernoulli(key)
        return self.State(jnp.zeros(()), terminates), restart(jnp.stack([task, jnp.zeros(())]))

    def step(self, key, task, state, action):
        step = state.step + 1
        ends = step == EPISODE_LENGTH
        timestep = transition(
            10.0 * step + action, jnp.stack([task, step]), ends & state.terminates, ends & ~state.terminates
        )
        return state._replace(step=step), timestep


def count_steps(meta_params, state, learner_input):
    """A learner that counts the steps of its life, and always favours the next action in turn."""
    logits = jnp.where(jnp.arange(NUM_ACTIONS) == state % NUM_ACTIONS, meta_params, 0.0)
    return LearnerOutput(logits[:, None], state.astype(jnp.float32)), state + 1


COUNTING = Learner(
    init=lambda key: jnp.float32(100.0),
    initial_state=lambda meta_params, key: jnp.zeros((), jnp.int32),
    step=count_steps,
)
NUM_STEPS = 41
INNER_LOOP = make_inner_loop(Scripted(), COUNTING, make_policy(specs.DiscreteArray(NUM_ACTIONS)), NUM_STEPS)


@pytest.fixture(scope="module")
def experience():
    """One scripted lifetime, [NUM_STEPS, ...]."""
    meta_params = INNER_LOOP.init(jax.random.key(0))
    return jax.tree.map(np.asarray, jax.jit(INNER_LOOP.rollout)(meta_params, jax.random.key(1)))


def test_the_learner_state_is_kept_across_episode_ends(experience):
    assert experience.episode_end.sum() == 10
    np.testing.assert_array_equal(experience.learner_output.value, np.arange(NUM_STEPS))
    np.testing.assert_array_equal(experience.action, np.arange(NUM_STEPS) % NUM_ACTIONS)


def test_episodes_follow_one_another_with_one_step_to_reset(experience):
    phase = np.arange(NUM_STEPS) % (EPISODE_LENGTH + 1)
    np.testing.assert_array_equal(experience.learner_input.observation[:, 1], phase)
    np.testing.assert_array_equal(experience.learner_input.episode_start, phase == 0)
    np.testing.assert_array_equal(experience.episode_end, phase == EPISODE_LENGTH - 1)
    np.testing.assert_array_equal(experience.action_ignored, phase == EPISODE_LENGTH)


def test_the_task_stays_for_the_whole_lifetime(experience):
    assert np.unique(experience.learner_input.observation[:, 0]).size == 1


def test_a_reward_belongs_to_its_action_and_is_told_one_step_later(experience):
    phase = np.arange(NUM_STEPS) % (EPISODE_LENGTH + 1)
    earned = np.where(experience.action_ignored, 0.0, 10.0 * (phase + 1) + experience.action)
    np.testing.assert_array_equal(experience.reward, earned)
    np.testing.assert_array_equal(experience.learner_input.reward, np.append(0.0, earned[:-1]))


def test_the_previous_action_is_told_one_hot_and_not_at_a_first_step(experience):
    expected = np.eye(NUM_ACTIONS)[np.append(0, experience.action[:-1])]
    expected[experience.learner_input.episode_start == 1] = 0.0
    np.testing.assert_array_equal(experience.learner_input.previous_action, expected)


def test_termination_has_discount_0_and_truncation_1(experience):
    discounts = experience.discount[experience.episode_end]
    assert set(discounts) == {0.0, 1.0}
    assert np.all(experience.discount[~experience.episode_end] == 1.0)


def test_an_environment_that_does_not_know_expected_rewards_reports_none(experience):
    assert not INNER_LOOP.knows_expected_reward
    assert experience.expected_reward is None and experience.regret is None
    assert experience.expected_advantages is None and experience.expected_advantage is None


def test_the_last_observation_of_an_episode_is_told_before_the_reset(experience):
    after_end = np.flatnonzero(experience.episode_end) + 1
    assert np.all(experience.learner_input.observation[after_end, 1] == EPISODE_LENGTH)
    assert np.all(experience.learner_input.episode_start[after_end] == 0)


BANDIT = build_inner_loop(
    SymmetricConfig(hidden_size=3, message_size=2, state_noise=1.0), BanditConfig(num_arms=3, lifetime_length=12)
)


@pytest.fixture(scope="module")
def bandit_meta_params():
    meta_params = jax.jit(BANDIT.init)(jax.random.key(0))
    return jax.tree.map(lambda leaf: 3.0 * leaf, meta_params)  # far from a uniform policy


def test_a_lifetime_in_two_halves_is_the_lifetime_in_one(bandit_meta_params):
    def in_one(meta_params, key):
        return BANDIT.unroll(meta_params, BANDIT.reset(meta_params, key), 12)

    def in_two(meta_params, key):
        lifetime, first = BANDIT.unroll(meta_params, BANDIT.reset(meta_params, key), 7)
        lifetime, second = BANDIT.unroll(meta_params, lifetime, 5)
        return lifetime, jax.tree.map(lambda *halves: jnp.concatenate(halves), first, second)

    one, two = (jax.jit(live)(bandit_meta_params, jax.random.key(3)) for live in (in_one, in_two))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, two)


def test_the_expected_reward_and_regret_of_a_bandit(bandit_meta_params):
    @jax.jit
    @jax.vmap
    def live(key):
        lifetime, experience = BANDIT.unroll(bandit_meta_params, BANDIT.reset(bandit_meta_params, key), 12)
        return lifetime.task, experience

    num_lifetimes = 4000
    tasks, experience = jax.tree.map(np.asarray, live(jax.random.split(jax.random.key(5), num_lifetimes)))
    assert BANDIT.knows_expected_reward
    probabilities = np.asarray(jax.nn.softmax(experience.learner_output.policy[..., 0]))
    np.testing.assert_allclose(experience.expected_reward, np.einsum("lta,la->lt", probabilities, tasks), rtol=1e-5)
    taken = np.take_along_axis(tasks, experience.action, axis=1)
    np.testing.assert_allclose(experience.regret, tasks.max(axis=1, keepdims=True) - taken, atol=1e-6)
    assert np.all(experience.regret >= 0) and np.any(experience.regret == 0)
    # The reward is the expected one on average, to five standard errors.
    difference = (experience.reward - experience.expected_reward).mean(axis=1)
    assert abs(difference.mean()) < 5 * difference.std() / np.sqrt(num_lifetimes)


def test_lifetimes_with_other_keys_are_other_lifetimes(bandit_meta_params):
    keys = jax.random.split(jax.random.key(7), 50)
    lifetimes = jax.jit(jax.vmap(BANDIT.reset, in_axes=(None, 0)))(bandit_meta_params, keys)
    assert np.unique(lifetimes.task, axis=0).shape[0] == 50
    assert np.unique(lifetimes.key_data, axis=0).shape[0] == 50
    cells = np.asarray(lifetimes.learner_state[0].cell).reshape(50, -1)
    assert np.unique(cells, axis=0).shape[0] == 50


@pytest.mark.long
def test_the_expected_advantage_is_that_of_the_policy():
    config = RandomMDPConfig(num_states=4, num_actions=3, lifetime_length=20)
    inner_loop = build_inner_loop(SymmetricConfig(hidden_size=4), config)
    assert inner_loop.knows_expected_advantages
    experience = jax.jit(inner_loop.rollout)(inner_loop.init(jax.random.key(0)), jax.random.key(1))
    probabilities = jax.nn.softmax(experience.learner_output.policy[..., 0])
    expected = np.sum(probabilities * experience.expected_advantages, axis=-1)
    np.testing.assert_allclose(experience.expected_advantage, expected, rtol=1e-4, atol=1e-6)
    assert np.all(experience.expected_advantage <= 0)
