"""Random tabular MDPs: their distribution, their steps, and exact values by backward induction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.environments.base import step_or_reset
from podmeta.environments.jax.tabular_mdp import TabularMDP, TabularMDPState
from podmeta.errors import InputError

PAPER = TabularMDP(num_states=10, num_actions=5, horizon=10)
SMALL = TabularMDP(num_states=3, num_actions=2, horizon=4)


def transition_probabilities(tasks):
    return np.diff(tasks.cumulative_transitions, axis=-1, prepend=0.0)


def backward_induction(rewards, transitions, horizon, choose):
    """The value of state 0, and the greedy action of each step and state: [horizon, num_states]."""
    values, policy = np.zeros(rewards.shape[0]), []
    for _ in range(horizon):
        action_values = rewards + transitions @ values
        policy.insert(0, action_values.argmax(axis=1))
        values = choose(action_values, axis=1)
    return values[0], np.array(policy)


@pytest.fixture(scope="module")
def tasks():
    return jax.tree.map(np.asarray, jax.vmap(PAPER.sample_task)(jax.random.split(jax.random.key(0), 1000)))


def test_tasks_are_drawn_as_in_the_paper(tasks):
    assert tasks.mean_rewards.mean() == pytest.approx(1, abs=0.02)
    assert tasks.mean_rewards.std() == pytest.approx(1, abs=0.02)
    probabilities = transition_probabilities(tasks)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(tasks.cumulative_transitions[..., -1], 1, rtol=1e-6)
    # Moments of a flat Dirichlet over n outcomes: mean 1/n, variance (n-1)/(n²(n+1)), covariance -1/(n²(n+1)).
    n = 10
    np.testing.assert_allclose(probabilities.mean((0, 1, 2)), 1 / n, atol=0.003)
    covariance = np.cov(probabilities.reshape(-1, n).T)
    np.testing.assert_allclose(covariance, (np.eye(n) - 1 / n) / (n * (n + 1)), atol=3e-4)


def test_steps_follow_the_transition_and_reward_probabilities(step_many_times, assert_frequency):
    task = SMALL.sample_task(jax.random.key(1))
    probabilities = transition_probabilities(task)
    for state, action in np.ndindex(3, 2):
        at = TabularMDPState(jnp.array(state), jnp.array(0))
        states, timesteps = step_many_times(SMALL, task, at, action)
        for next_state in range(3):
            assert_frequency(states.state == next_state, probabilities[state, action, next_state])
        rewards = np.asarray(timesteps.reward)
        assert rewards.mean() == pytest.approx(task.mean_rewards[state, action], abs=5 / np.sqrt(rewards.size))
        assert rewards.std() == pytest.approx(1, abs=0.03)
        assert abs(np.corrcoef(rewards, states.state)[0, 1]) < 5 / np.sqrt(rewards.size)
        np.testing.assert_array_equal(timesteps.observation.argmax(-1), states.state)
        assert np.all(timesteps.observation.sum(-1) == 1)


def test_the_horizon_terminates_and_episodes_start_in_state_0(play):
    steps = 0
    for *_, timestep, _, next_state, next_timestep in play(PAPER, 0, num_lifetimes=1, num_steps=44):
        if timestep.last():
            assert next_timestep.first()
            assert next_state.state == 0 == next_timestep.observation.argmax()
            steps = 0
            continue
        steps += 1
        assert next_timestep.last() == (steps == 10)
        assert next_timestep.discount == (steps != 10)


def test_returns_are_those_of_backward_induction(tasks):
    """Playing the best policy, and a random one, earns its exact value, averaged over tasks."""
    exact = [
        [
            backward_induction(rewards, transitions, 10, choose)[0]
            for rewards, transitions in zip(tasks.mean_rewards, transition_probabilities(tasks), strict=True)
        ]
        for choose in (np.max, np.mean)
    ]
    best = np.array(
        [
            backward_induction(rewards, transitions, 10, np.max)[1]
            for rewards, transitions in zip(tasks.mean_rewards, transition_probabilities(tasks), strict=True)
        ]
    )

    def earned(task, policy, key, num_episodes=20):
        def env_step(carry, step_key):
            state, timestep = carry
            best_action = policy[jnp.minimum(state.steps, 9), state.state]
            action_key, environment_key = jax.random.split(step_key)
            action = jnp.where(policy.sum() < 0, jax.random.randint(action_key, (), 0, 5), best_action)
            after = step_or_reset(PAPER, environment_key, task, state, timestep, action)
            return after, after[1].reward

        keys = jax.random.split(key, num_episodes * 11)
        return jax.lax.scan(env_step, PAPER.reset(key, task), keys)[1].sum() / num_episodes

    play_all = jax.jit(jax.vmap(earned))
    keys = jax.random.split(jax.random.key(2), 1000)
    # The reward's noise alone gives the mean of 20,000 episodes a standard error of sqrt(10 / 20,000).
    np.testing.assert_allclose(play_all(tasks, best, keys).mean(), np.mean(exact[0]), atol=0.15)
    np.testing.assert_allclose(play_all(tasks, np.full_like(best, -1), keys).mean(), np.mean(exact[1]), atol=0.15)
    # The paper's random policy earns 100.1 in 10 episodes.
    assert np.mean(exact[1]) == pytest.approx(10.0, abs=0.25)


def test_a_config_of_no_mdp_is_told():
    with pytest.raises(InputError, match=r"environment\.horizon"):
        TabularMDP(10, 5, 0)
