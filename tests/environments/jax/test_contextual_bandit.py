"""Contextual bandits: their tables, and that steps pay by them."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.environments.jax.contextual_bandit import ContextualBandit
from podmeta.errors import InputError

BANDIT = ContextualBandit(num_contexts=4, num_actions=3)


@pytest.fixture(scope="module")
def tables():
    return np.asarray(jax.vmap(BANDIT.sample_task)(jax.random.split(jax.random.key(0), 3000)).rewards)


def test_no_action_is_better_than_another_on_average(tables):
    assert tables.shape[1:] == (4, 3)
    np.testing.assert_allclose(tables.mean(axis=1), 0, atol=1e-6)


def test_tables_are_drawn_from_three_rewards_less_their_mean(tables, assert_frequency):
    """Differences within a column are those of two independent draws from {-1, 0, 1}."""
    differences = tables[:, 0] - tables[:, 1]
    np.testing.assert_allclose(differences, np.round(differences), atol=1e-6)
    for difference, probability in ((-2, 1 / 9), (-1, 2 / 9), (0, 3 / 9), (1, 2 / 9), (2, 1 / 9)):
        assert_frequency(np.round(differences) == difference, probability)


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=3)
def test_steps_pay_by_the_table(play, seed):
    for task, state, timestep, action, next_state, next_timestep in play(BANDIT, seed, num_lifetimes=4):
        assert timestep.observation.argmax() == state.context
        assert timestep.observation.sum() == 1
        assert next_timestep.reward == task.rewards[state.context, action]
        assert next_timestep.mid()
        assert next_timestep.observation.argmax() == next_state.context


def test_expected_rewards_are_those_of_the_context():
    task = BANDIT.sample_task(jax.random.key(0))
    for seed in range(5):
        state, _ = BANDIT.reset(jax.random.key(seed), task)
        np.testing.assert_array_equal(BANDIT.expected_rewards(task, state), task.rewards[state.context])


def test_contexts_are_uniform_whatever_was_done(step_many_times, assert_frequency):
    task = BANDIT.sample_task(jax.random.key(0))
    state, _ = BANDIT.reset(jax.random.key(1), task)
    states, _ = step_many_times(BANDIT, task, state, 0)
    for context in range(4):
        assert_frequency(states.context == context, 1 / 4)


@pytest.mark.parametrize(("num_contexts", "num_actions", "key"), [(1, 3, "num_contexts"), (2, 1, "num_actions")])
def test_a_bandit_without_a_choice_is_told(num_contexts, num_actions, key):
    with pytest.raises(InputError, match=rf"environment\.{key}"):
        ContextualBandit(num_contexts, num_actions)
