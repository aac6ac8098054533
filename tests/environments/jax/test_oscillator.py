"""Oscillators: their pushes are weak, and their teacher pumps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import OscillatorConfig
from podmeta.environments.jax.oscillator import REWARDS, Oscillator
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from tests.environments.jax.families import assert_on_one_scale, live

ALL = Oscillator(OscillatorConfig(num_observations=5))
TIME, ESCAPE, FAILURE = range(len(REWARDS))


@pytest.fixture(scope="module")
def teacher():
    return live(ALL, 96, 400, follows_teacher=True)


@pytest.fixture(scope="module")
def random():
    return live(ALL, 96, 400, follows_teacher=False)


def test_the_teacher_reaches_the_exit_or_stays_away_from_it(teacher, random):
    for kind in (TIME, ESCAPE):
        gain = teacher.by_reward(kind).reward.mean(1) - random.by_reward(kind).reward.mean(1)
        assert np.mean(gain > 0) > 0.9
    assert not teacher.by_reward(FAILURE).terminated.any()
    assert random.by_reward(FAILURE).terminated.any()


def test_advantages_are_on_one_scale(random):
    assert_on_one_scale(random)


def test_rewards_are_what_their_kinds_say(teacher, random):
    for kind, at_exit in ((ESCAPE, 1), (FAILURE, -1)):
        for lived in (teacher, random):
            lived = lived.by_reward(kind)
            np.testing.assert_array_equal(lived.reward, at_exit * lived.terminated)
    lived = teacher.by_reward(TIME)
    resets = np.roll(lived.last, 1, axis=1)
    resets[:, 0] = False
    np.testing.assert_array_equal(lived.reward, np.where(lived.terminated | resets, 0, -1))


def test_no_steady_push_reaches_the_exit():
    def farthest(key):
        task = ALL.sample_task(key)
        step = jax.vmap(lambda state, action: ALL.step(key, task, state, action)[0])
        at_rest = ALL.reset(key, task)[0]._replace(position=jnp.zeros(()), speed=jnp.zeros(()))
        start = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), at_rest)
        # From rest, the first swing goes twice as far as the push holds.
        scan = jax.lax.scan(lambda state, _: (step(state, jnp.arange(3)), state.position), start, length=200)
        reach = jnp.max(jnp.abs(task.effects)) / task.stiffness
        return jnp.max(jnp.abs(scan[1])), reach

    far, reach = jax.jit(jax.vmap(farthest))(jax.random.split(jax.random.key(0), 100))
    # Springs that bend, and steps that are long against the period, let it go somewhat farther.
    assert np.mean(np.asarray(far) < 3 * np.asarray(reach)) > 0.9
    assert np.median(reach) < 0.5


def test_energy_is_kept_without_a_push():
    def energies(key):
        task = ALL.sample_task(key)
        task = task._replace(effects=jnp.zeros(3), damping=jnp.zeros(()), left_end=jnp.float32(-9.0))
        start = ALL.reset(key, task)[0]._replace(position=jnp.float32(0.5))

        def step(state, _):
            return ALL.step(key, task, state, jnp.int32(0))[0], state

        states = jax.lax.scan(step, start, length=100)[1]
        spring = (1 - jnp.cos(task.bend * states.position)) / task.bend**2
        return 0.5 * states.speed**2 / task.stiffness + spring

    kept = np.asarray(jax.jit(jax.vmap(energies))(jax.random.split(jax.random.key(0), 50)))
    assert np.all(np.abs(kept / kept[:, :1] - 1) < 0.6)  # it oscillates within a period
    np.testing.assert_allclose(kept[:, 50:].mean(1) / kept[:, :50].mean(1), 1, atol=0.25)


@pytest.mark.parametrize(("num_observations", "num_actions"), [(2, 2), (3, 3), (24, 4)])
def test_sizes(num_observations, num_actions):
    config = OscillatorConfig(num_observations=num_observations, num_actions=num_actions)
    lived = live(make_environment(config), 4, 30, follows_teacher=True)
    assert lived.observation.shape == (4, 30, num_observations)
    assert np.all(np.isfinite(lived.observation))


def test_a_config_without_rewards_is_refused():
    with pytest.raises(InputError, match=r"environment\.rewards"):
        make_environment(OscillatorConfig(rewards=[]))
