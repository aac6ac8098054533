"""Bandits: how their tasks are distributed, and that arms pay what they say."""

import functools

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.environments.jax.bandit import DISTRIBUTIONS, Bandit
from podmeta.errors import InputError

NUM_TASKS = 20_000
STANDARD_ERRORS = 5.0  # the seeds are fixed, so a test passes always or never


@functools.cache
def sample_tasks(num_arms, distribution):
    keys = jax.random.split(jax.random.key(1), NUM_TASKS)
    return np.asarray(jax.vmap(Bandit(num_arms, distribution).sample_task)(keys), np.float64)


@pytest.mark.parametrize(
    ("num_arms", "distribution"), [(2, "independent"), (7, "independent"), (2, "dependent_uniform")]
)
def test_arms_are_uniform(num_arms, distribution):
    tasks = sample_tasks(num_arms, distribution)
    assert tasks.shape == (NUM_TASKS, num_arms)
    assert tasks.min() >= 0.0
    assert tasks.max() <= 1.0
    thresholds = np.linspace(0.1, 0.9, 9)
    frequencies = (tasks[..., None] < thresholds).mean(axis=0)
    tolerance = STANDARD_ERRORS * np.sqrt(thresholds * (1 - thresholds) / NUM_TASKS)
    assert np.all(np.abs(frequencies - thresholds) < tolerance)


def test_independent_arms_are_uncorrelated():
    correlations = np.corrcoef(sample_tasks(7, "independent"), rowvar=False) - np.eye(7)
    assert np.abs(correlations).max() < STANDARD_ERRORS / np.sqrt(NUM_TASKS)


@pytest.mark.parametrize("distribution", [name for name in DISTRIBUTIONS if name != "independent"])
def test_dependent_arms_add_up_to_one(distribution):
    np.testing.assert_allclose(sample_tasks(2, distribution).sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("distribution", "lower"), [("dependent_easy", 0.1), ("dependent_medium", 0.25), ("dependent_hard", 0.4)]
)
def test_the_better_arm_is_either_one(distribution, lower):
    tasks = sample_tasks(2, distribution)
    np.testing.assert_allclose(tasks.min(axis=1), lower, atol=1e-6)
    first_is_better = np.mean(tasks[:, 0] > 0.5)
    assert abs(first_is_better - 0.5) < STANDARD_ERRORS * 0.5 / np.sqrt(NUM_TASKS)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_arms_pay_as_often_as_expected_and_the_episode_never_ends(distribution):
    bandit = Bandit(2, distribution)
    task = bandit.sample_task(jax.random.key(2))
    state, _ = bandit.reset(jax.random.key(3), task)

    def pull(key, arm):
        return bandit.step(key, task, state, arm)[1]

    keys = jax.random.split(jax.random.key(4), NUM_TASKS)
    timesteps = jax.jit(jax.vmap(jax.vmap(pull, (None, 0)), (0, None)))(keys, jnp.arange(2))
    expected = np.asarray(bandit.expected_rewards(task, state))
    tolerance = STANDARD_ERRORS * np.sqrt(expected * (1 - expected) / NUM_TASKS)
    assert np.all(np.abs(np.mean(timesteps.reward, axis=0) - expected) <= tolerance)
    assert set(np.unique(timesteps.reward)) <= {0.0, 1.0}
    assert np.all(timesteps.step_type == dm_env.StepType.MID)
    assert np.all(timesteps.discount == 1.0)
    assert np.all(timesteps.observation == 1.0)


def test_a_certain_arm_always_pays_and_an_impossible_one_never():
    bandit = Bandit(2)
    keys = jax.random.split(jax.random.key(5), NUM_TASKS)
    pull = jax.jit(jax.vmap(lambda key, arm: bandit.step(key, jnp.array([0.0, 1.0]), (), arm)[1].reward, (0, None)))
    assert not np.any(pull(keys, jnp.array(0)))
    assert np.all(pull(keys, jnp.array(1)))


def test_gaussian_arms_pay_their_standard_normal_means_with_standard_normal_noise():
    bandit = Bandit(5, rewards="gaussian")
    tasks = np.asarray(jax.vmap(bandit.sample_task)(jax.random.split(jax.random.key(6), NUM_TASKS)))
    assert_standard_normal(tasks)
    task = jnp.array([-2.0, 0.0, 0.5, 1.0, 30.0])
    pull = jax.jit(jax.vmap(lambda key, arm: bandit.step(key, task, (), arm)[1].reward, (0, None)))
    keys = jax.random.split(jax.random.key(7), NUM_TASKS)
    for arm in range(5):
        assert_standard_normal(np.asarray(pull(keys, jnp.array(arm)) - task[arm])[:, None])
    np.testing.assert_array_equal(bandit.expected_rewards(task, ()), task)


def assert_standard_normal(values):
    tolerance = STANDARD_ERRORS / np.sqrt(len(values))
    assert np.abs(values.mean(axis=0)).max() < tolerance
    assert np.abs(values.var(axis=0) - 1.0).max() < np.sqrt(2.0) * tolerance
    assert np.abs((values < -1.0).mean(axis=0) - 0.1587).max() < 0.37 * tolerance


def test_specs_follow_the_number_of_arms():
    bandit = Bandit(7)
    assert bandit.action_spec().num_values == 7
    assert bandit.observation_spec().shape == (1,)


@pytest.mark.parametrize(
    ("num_arms", "distribution", "key"),
    [
        (1, "independent", "environment.num_arms"),
        (5, "dependent_easy", "environment.num_arms"),
        (1, "dependent_uniform", "environment.num_arms"),
        (2, "easy", "environment.distribution"),
    ],
)
def test_wrong_configs_are_told_by_key(num_arms, distribution, key):
    with pytest.raises(InputError, match=key):
        Bandit(num_arms, distribution)


@pytest.mark.parametrize(("distribution", "rewards"), [("dependent_easy", "gaussian"), ("independent", "normal")])
def test_wrong_rewards_are_told_by_key(distribution, rewards):
    with pytest.raises(InputError, match=r"environment\.rewards"):
        Bandit(2, distribution, rewards)
