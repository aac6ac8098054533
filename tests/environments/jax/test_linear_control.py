"""Linear control: what its rewards mean, its teacher, and boxes of actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs

from podmeta.config.schema import LinearControlConfig
from podmeta.environments.jax.linear_control import REWARDS, LinearControl
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from tests.environments.jax.families import assert_on_one_scale, assert_teacher_beats_random, live

ALL = LinearControl(LinearControlConfig(num_observations=6, num_actions=3))
BOX = LinearControl(LinearControlConfig(num_actions=2, continuous=True))
KIND = {name: REWARDS.index(name) for name in REWARDS}


@pytest.fixture(scope="module")
def teacher():
    return live(ALL, 256, 300, follows_teacher=True)


@pytest.fixture(scope="module")
def random():
    return live(ALL, 256, 300, follows_teacher=False)


@pytest.mark.long
def test_the_teacher_beats_random_whatever_is_paid(teacher, random):
    assert_teacher_beats_random(teacher, random, REWARDS)


def test_advantages_are_on_one_scale(teacher, random):
    assert_on_one_scale(random)


def test_what_one_kind_pays_for_another_punishes(teacher, random):
    """So no behaviour that is the same in all tasks does well: only the reward tells what is wanted."""
    stays, leaves = (
        np.concatenate([teacher.by_reward(KIND[name]).terminated for name in names]).mean()
        for names in (("failure", "survival"), ("escape", "time"))
    )
    at_random = np.concatenate([random.by_reward(KIND[name]).terminated for name in ("failure", "survival")]).mean()
    assert stays < 0.3 * at_random
    assert leaves > 2 * at_random


def test_rewards_are_what_their_kinds_say(random):
    for name, paid in (
        ("failure", lambda lived: np.where(lived.terminated, -1, 0)),
        ("escape", lambda lived: np.where(lived.terminated, 1, 0)),
    ):
        lived = random.by_reward(KIND[name])
        np.testing.assert_array_equal(lived.reward, paid(lived))
    resets = np.roll(random.last, 1, axis=1)
    resets[:, 0] = False
    for name, step, exit_pays in (("survival", 1, {0}), ("time", -1, {0, -1}), ("side", 0, {-1, 1})):
        lived, is_reset = random.by_reward(KIND[name]), resets[random.task.reward == KIND[name]]
        np.testing.assert_array_equal(lived.reward[~lived.terminated & ~is_reset], step)
        assert set(np.unique(lived.reward[lived.terminated])) == exit_pays
    dense = random.by_reward(KIND["dense"])
    assert -1 <= dense.reward.min() < -0.9
    assert dense.reward.max() <= 0


def test_nothing_but_time_ends_episodes_within_walls(random):
    for name in ("dense", "paid_stabilising", "paid_escaping"):
        lived = random.by_reward(KIND[name])
        assert not lived.terminated.any()
        assert lived.last.any()
        assert np.abs(lived.state.position).max() <= 1


def test_a_paid_advantage_is_worth_the_same_for_staying_and_leaving(teacher):
    for name in ("paid_stabilising", "paid_escaping"):
        paid = teacher.by_reward(KIND[name]).reward
        assert 0.2 < paid.mean() < 5


@pytest.mark.long
@pytest.mark.parametrize(("num_observations", "num_modes", "num_actions"), [(2, 1, 2), (6, 3, 2), (32, 2, 5)])
def test_sizes(num_observations, num_modes, num_actions):
    config = LinearControlConfig(num_observations=num_observations, num_modes=num_modes, num_actions=num_actions)
    lived = live(make_environment(config), 4, 30, follows_teacher=True)
    assert lived.observation.shape == (4, 30, num_observations)
    assert np.all(np.isfinite(lived.observation))
    assert 0.05 < np.abs(lived.observation).mean() < 3


def test_a_seed_repeats_and_tasks_differ():
    draw = jax.jit(jax.vmap(ALL.sample_task))
    tasks, again = (draw(jax.random.split(jax.random.key(0), 50)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, tasks, again)
    assert len(np.unique(np.asarray(tasks.dynamics.speeds), axis=0)) == 50


def test_a_box_of_actions_pushes_by_its_components():
    assert BOX.action_spec() == specs.BoundedArray((2,), "float32", -1.0, 1.0, "action")
    task = jax.jit(BOX.sample_task)(jax.random.key(0))
    state, _ = BOX.reset(jax.random.key(1), task)
    assert BOX.expected_advantages(task, state) is None

    step = jax.jit(lambda action: BOX.step(jax.random.key(2), task, state, action)[0].speed)
    still = step(jnp.zeros(2))
    for component in range(2):
        for push in (0.5, 1.0, 3.0):  # beyond its bounds, an action counts as at them
            moved = step(jnp.zeros(2).at[component].set(push))
            np.testing.assert_allclose(
                moved - still, min(push, 1.0) * task.dynamics.effects[component], rtol=1e-2, atol=1e-6
            )


@pytest.mark.parametrize("reward", ["paid_stabilising", "paid_escaping"])
def test_a_box_is_paid_for_the_teachers_direction(reward):
    box = LinearControl(LinearControlConfig(num_actions=2, continuous=True, rewards=[reward]))

    def paid(key):
        task = box.sample_task(key)._replace(delay=jnp.int32(1))
        state, _ = box.reset(key, task)
        action = jax.random.uniform(key, (2,), minval=-1, maxval=1)
        return jnp.stack([box.step(key, task, state, sign * action)[1].reward for sign in (0.0, 1.0, -1.0)])

    nothing, there, back = np.asarray(jax.jit(jax.vmap(paid))(jax.random.split(jax.random.key(0), 200))).T
    np.testing.assert_array_equal(nothing, 0)
    np.testing.assert_allclose(there, -back, atol=1e-6)
    assert 0.2 < np.abs(there).mean() <= np.abs(there).max() < 1 + 1e-5


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_observations": 3}, "num_observations"),
        ({"num_actions": 1}, "num_actions"),
        ({"rewards": []}, "rewards"),
    ],
)
def test_a_config_of_no_task_is_refused(changes, key):
    with pytest.raises(InputError, match=rf"environment\.{key}"):
        make_environment(LinearControlConfig(**changes))
