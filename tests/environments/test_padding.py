"""Padding, as properties over environments inside and out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.schema import BanditConfig, ContextualBanditConfig, GymnaxConfig
from podmeta.environments.padding import Padded
from podmeta.environments.registry import make_environment
from podmeta.environments.wrappers import WrappedTask
from podmeta.errors import InputError

OBSERVATION_SIZE, NUM_ACTIONS = 6, 7
INSIDE = {
    "bandit": BanditConfig(num_arms=3),
    "contextual_bandit": ContextualBanditConfig(num_contexts=4, num_actions=3),
    "pendulum": GymnaxConfig(id="Pendulum-v1"),
}
seeds = st.integers(0, 2**31 - 1)


@functools.cache
def both_step(name):
    """(seed, action) -> one step of the environment inside, of the padded one, and what each expects of actions."""
    inside = make_environment(INSIDE[name])
    padded = Padded(inside, OBSERVATION_SIZE, NUM_ACTIONS)

    @jax.jit
    def both(seed, action):
        task_key, reset_key, step_key = jax.random.split(jax.random.key(seed), 3)
        task = inside.sample_task(task_key)
        state, first = inside.reset(reset_key, task)
        _, padded_first = padded.reset(reset_key, WrappedTask(task, ()))
        _, stepped = inside.step(step_key, task, state, _inner(inside, action))
        _, padded_stepped = padded.step(step_key, WrappedTask(task, ()), state, action)
        expected = inside.expected_rewards(task, state)
        return (
            (first, stepped),
            (padded_first, padded_stepped),
            expected,
            padded.expected_rewards(WrappedTask(task, ()), state),
        )

    return both


def _inner(inside, action):
    """What the action stands for, written out another way."""
    spec = inside.action_spec()
    if not hasattr(spec, "num_values"):
        return action[:1]
    return jnp.array([i for _ in range(NUM_ACTIONS) for i in range(spec.num_values)])[action]


@pytest.mark.parametrize("name", INSIDE)
@given(seed=seeds, action=st.integers(0, NUM_ACTIONS - 1))
def test_padding_adds_zeros_and_other_names_for_the_same_actions(name, seed, action):
    if name == "pendulum":
        action = np.sin(np.arange(NUM_ACTIONS, dtype=np.float32) + action)
    inner, outer, expected, padded_expected = both_step(name)(seed, action)
    for timestep, padded_timestep in zip(inner, outer, strict=True):
        size = timestep.observation.size
        np.testing.assert_array_equal(padded_timestep.observation[:size], timestep.observation.ravel())
        np.testing.assert_array_equal(padded_timestep.observation[size:], np.zeros(OBSERVATION_SIZE - size))
        assert padded_timestep._replace(observation=0) == timestep._replace(observation=0)
    if expected is not None:
        inner_actions = [int(_inner(make_environment(INSIDE[name]), i)) for i in range(NUM_ACTIONS)]
        np.testing.assert_array_equal(padded_expected, expected[np.array(inner_actions)])


@pytest.mark.parametrize("name", INSIDE)
def test_specs_hold_what_is_shown_and_taken(name):
    environment = Padded(make_environment(INSIDE[name]), OBSERVATION_SIZE, NUM_ACTIONS)
    task = environment.sample_task(jax.random.key(0))
    _, timestep = environment.reset(jax.random.key(1), task)
    observation_spec, action_spec = environment.observation_spec(), environment.action_spec()
    assert observation_spec.shape == (OBSERVATION_SIZE,)
    observation_spec.validate(np.asarray(timestep.observation))
    assert (action_spec.num_values if name != "pendulum" else action_spec.shape[0]) == NUM_ACTIONS
    if name == "pendulum":
        np.testing.assert_array_equal(action_spec.maximum, [2.0] + [1.0] * (NUM_ACTIONS - 1))


def test_either_size_may_be_left_as_it_is():
    config = ContextualBanditConfig(num_contexts=4, num_actions=3)
    wide = make_environment(ContextualBanditConfig(**vars(config) | {"padded_observation_size": 9}))
    busy = make_environment(ContextualBanditConfig(**vars(config) | {"padded_num_actions": 5}))
    assert (wide.observation_spec().shape, wide.action_spec().num_values) == ((9,), 3)
    assert (busy.observation_spec().shape, busy.action_spec().num_values) == ((4,), 5)


@pytest.mark.parametrize(("key", "real"), [("padded_observation_size", 4), ("padded_num_actions", 3)])
def test_padding_to_less_is_refused(key, real):
    with pytest.raises(InputError, match=rf"environment\.{key} is 2.*make it {real} or more"):
        make_environment(ContextualBanditConfig(num_contexts=4, num_actions=3, **{key: 2}))
