"""Tests of distractors: the environment inside is as before, and they tell nothing."""

import jax
import numpy as np
import pytest
from dm_env import specs

from podmeta.config.schema import LinearControlConfig, OscillatorConfig, RandomMDPConfig
from podmeta.environments.base import is_last
from podmeta.environments.jax.distractors import Distracted
from podmeta.environments.jax.random_mdp import RandomMDP
from podmeta.environments.registry import make_environment
from tests.environments.jax import families

NUM_STATES, NUM_DISTRACTORS = 4, 5


@pytest.fixture(scope="module")
def lived():
    environment = make_environment(RandomMDPConfig(num_states=NUM_STATES, num_distractors=NUM_DISTRACTORS))
    return families.live(environment, num_lifetimes=64, num_steps=200, follows_teacher=False)


@pytest.mark.parametrize("config", [LinearControlConfig, RandomMDPConfig, OscillatorConfig])
def test_every_family_takes_them(config):
    plain, distracted = (make_environment(config(num_distractors=number)) for number in (0, 3))
    assert isinstance(distracted, Distracted)
    assert not isinstance(plain, Distracted)
    spec = distracted.observation_spec()
    assert not isinstance(spec, specs.BoundedArray)
    assert spec.shape[0] == plain.observation_spec().shape[0] + 3
    assert distracted.num_tasks == plain.num_tasks


@pytest.mark.long
def test_distractors_come_after_the_observation(lived):
    np.testing.assert_array_equal(lived.observation[..., :NUM_STATES].sum(-1), 1)


def test_a_lifetime_has_one_of_four_kinds(lived):
    noise = lived.observation[..., NUM_STATES:]
    kinds = [lived.task.kind == kind for kind in range(4)]
    assert all(kind.any() for kind in kinds)
    bits, rare_bits, signs, normal = (noise[kind] for kind in kinds)
    assert set(np.unique(bits)) == set(np.unique(rare_bits)) == {0, 1}
    assert set(np.unique(signs)) == {-1, 1}
    assert np.mean(bits) == pytest.approx(0.5, abs=0.05)
    assert np.mean(rare_bits) == pytest.approx(0.1, abs=0.02)
    assert np.mean(normal) == pytest.approx(0, abs=0.05)
    assert np.std(normal) == pytest.approx(1, abs=0.05)


def test_distractors_are_independent_of_one_another_and_of_the_step_before(lived):
    noise = lived.observation[lived.task.kind == 3][..., NUM_STATES:]
    together = np.concatenate([noise[:, 1:], noise[:, :-1]], axis=-1).reshape(-1, 2 * NUM_DISTRACTORS)
    correlations = np.corrcoef(together.T) - np.eye(2 * NUM_DISTRACTORS)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(together))


@pytest.mark.long
def test_steps_teacher_and_episodes_are_those_of_the_environment_inside():
    inside = RandomMDP(RandomMDPConfig(num_states=NUM_STATES))
    outside = Distracted(inside, NUM_DISTRACTORS)
    task = outside.sample_task(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 30)
    state, timestep = outside.reset(keys[0], task)
    inner_state, inner_timestep = inside.reset(jax.random.split(keys[0])[0], task.inner)
    step, inner_step = jax.jit(outside.step), jax.jit(inside.step)
    for key in keys[1:]:
        jax.tree.map(np.testing.assert_array_equal, state, inner_state)
        np.testing.assert_array_equal(timestep.observation[:NUM_STATES], inner_timestep.observation)
        np.testing.assert_array_equal(timestep.reward, inner_timestep.reward)
        np.testing.assert_array_equal(
            outside.expected_advantages(task, state), inside.expected_advantages(task.inner, inner_state)
        )
        if is_last(timestep):
            break
        state, timestep = step(key, task, state, np.int32(1))
        inner_state, inner_timestep = inner_step(jax.random.split(key)[0], task.inner, inner_state, np.int32(1))
