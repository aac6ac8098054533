"""Episode ends: how time steps mark them, and how the next episode starts."""

import functools

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import BanditConfig, ContextualBanditConfig, GridWorldConfig, GymnaxConfig
from podmeta.environments.base import is_first, is_last, restart, step_or_reset, transition
from podmeta.environments.jax.gymnax_adapter import GymnaxEnvironment
from podmeta.environments.registry import make_environment


@pytest.mark.parametrize(
    ("terminated", "truncated", "step_type", "discount"),
    [
        (False, False, dm_env.StepType.MID, 1.0),
        (True, False, dm_env.StepType.LAST, 0.0),
        (False, True, dm_env.StepType.LAST, 1.0),
        (True, True, dm_env.StepType.LAST, 0.0),
    ],
)
def test_discount_tells_termination_from_truncation(terminated, truncated, step_type, discount):
    timestep = jax.jit(transition)(2.0, jnp.ones(3), terminated, truncated)
    assert timestep.step_type == step_type
    assert timestep.discount == discount
    assert timestep.reward == 2.0
    assert is_last(timestep) == (step_type is dm_env.StepType.LAST)
    assert not is_first(timestep)


def test_first_and_later_time_steps_have_one_structure():
    def types(timestep):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), timestep)

    first = restart(jnp.ones(3))
    assert is_first(first)
    assert not is_last(first)
    assert types(first) == types(transition(1.0, jnp.ones(3), jnp.array(True)))


@pytest.fixture(scope="module")
def two_step_cart_pole():
    return GymnaxEnvironment("CartPole-v1", {"max_steps_in_episode": 2})


def test_step_or_reset_ignores_the_action_after_last(two_step_cart_pole):
    environment = two_step_cart_pole
    advance = jax.jit(functools.partial(step_or_reset, environment))
    keys = jax.random.split(jax.random.key(0), 4)
    task = environment.sample_task(keys[0])
    state, timestep = environment.reset(keys[0], task)
    for key in keys[1:3]:
        expected = environment.step(key, task, state, jnp.array(1))
        state, timestep = advance(key, task, state, timestep, jnp.array(1))
        _assert_trees_close((state, timestep), expected)
    assert is_last(timestep)

    restarts = [advance(keys[3], task, state, timestep, jnp.array(action)) for action in (0, 1)]
    assert is_first(restarts[0][1])
    _assert_trees_close(restarts[0], restarts[1])
    _assert_trees_close(restarts[0], environment.reset(keys[3], task))


def _assert_trees_close(actual, expected):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), actual, expected)


@pytest.mark.parametrize(
    ("config", "episodes_end"),
    [
        (BanditConfig(permute_actions=True), False),
        (ContextualBanditConfig(flip_observation_signs=True), False),
        (GridWorldConfig(episode_length=0), False),
        (GridWorldConfig(episode_length=20), True),
        (GymnaxConfig(permute_actions=True), True),
    ],
)
def test_an_environment_knows_whether_its_episodes_end(config, episodes_end):
    environment = make_environment(config)
    task = environment.sample_task(jax.random.key(0))

    def live_on(carry, key):
        carry = step_or_reset(environment, key, task, *carry, jnp.zeros((), int))
        return carry, carry[1].step_type

    start = environment.reset(jax.random.key(1), task)
    step_types = jax.jit(lambda start: jax.lax.scan(live_on, start, jax.random.split(jax.random.key(2), 200))[1])(start)
    assert environment.episodes_end == episodes_end
    assert (step_types == int(dm_env.StepType.LAST)).any() == episodes_end
    assert (step_types == int(dm_env.StepType.FIRST)).any() == episodes_end
