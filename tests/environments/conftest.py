"""Random play, recorded for oracles to go over."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.environments.base import step_or_reset


@functools.cache
def _compiled(environment, num_lifetimes, num_steps):
    num_actions = environment.action_spec().num_values

    def lifetime(key):
        task_key, reset_key, play_key = jax.random.split(key, 3)
        task = environment.sample_task(task_key)

        def env_step(before, step_key):
            action_key, environment_key = jax.random.split(step_key)
            action = jax.random.randint(action_key, (), 0, num_actions)
            after = step_or_reset(environment, environment_key, task, *before, action)
            return after, (before, action, after)

        start = environment.reset(reset_key, task)
        _, history = jax.lax.scan(env_step, start, jax.random.split(play_key, num_steps))
        return task, history

    return jax.jit(lambda seed: jax.vmap(lifetime)(jax.random.split(jax.random.key(seed), num_lifetimes)))


@pytest.fixture(scope="session")
def play():
    """Plays lifetimes with random actions.

    (environment, seed, num_lifetimes, num_steps) -> every env step as (task, state, time step, action, next state,
    next time step), in NumPy. Programs are compiled once per environment object and size.
    """

    def play(environment, seed, num_lifetimes=8, num_steps=60):
        tasks, histories = jax.tree.map(np.asarray, _compiled(environment, num_lifetimes, num_steps)(seed))
        for lifetime in range(num_lifetimes):
            task = jax.tree.map(lambda leaf, i=lifetime: leaf[i], tasks)
            for step in range(num_steps):
                before, action, after = jax.tree.map(lambda leaf, i=lifetime, t=step: leaf[i, t], histories)
                yield (task, *before, int(action), *after)

    return play


@pytest.fixture(scope="session")
def step_many_times():
    """One step from one state, under many keys: (environment, task, state, action, number) -> states, time steps."""

    def step_many_times(environment, task, state, action, number=20_000):
        keys = jax.random.split(jax.random.key(0), number)
        return jax.jit(jax.vmap(lambda key: environment.step(key, task, state, jnp.asarray(action))))(keys)

    return step_many_times


@pytest.fixture(scope="session")
def assert_frequency():
    """(outcomes, probability): the share of true outcomes is within five standard errors of the probability."""

    def assert_frequency(outcomes, probability):
        outcomes = np.asarray(outcomes)
        standard_error = np.sqrt(probability * (1 - probability) / outcomes.size)
        assert abs(outcomes.mean() - probability) <= 5 * standard_error

    return assert_frequency
