"""Tasks on brax's bodies: rewards against their definitions, and bodies that a task changes."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.compose import compose_job
from podmeta.environments.base import step_or_reset
from podmeta.environments.jax.brax_tasks import Direction, Goal, OneTask, Parameters, Velocity, make_brax_tasks
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError

brax_envs = pytest.importorskip("brax.envs")

PRESETS = ["half_cheetah_direction", "half_cheetah_velocity", "ant_goal", "walker_parameters"]
SPEEDS = st.floats(-10, 10, width=32)


def body(speed, others=0.0, position=(0.0, 0.0)):
    """A state whose reward is the forward speed, and others."""
    x, y = position
    return SimpleNamespace(
        reward=jnp.float32(speed + others), metrics={"x_velocity": speed, "x_position": x, "y_position": y}
    )


def draws(tasks, number=200):
    return jax.vmap(lambda key: tasks.draw(key, None))(jax.random.split(jax.random.key(0), number))


@given(SPEEDS, SPEEDS)
def test_direction_pays_the_speed_that_way(speed, others):
    for sign in (-1.0, 1.0):
        reward = Direction().reward(jnp.float32(sign), body(speed, others))
        np.testing.assert_allclose(reward, sign * speed + others, atol=1e-5)
    assert set(np.unique(draws(Direction()))) == {-1.0, 1.0}


@given(SPEEDS, SPEEDS, st.floats(0, 3, width=32))
def test_velocity_costs_the_distance_from_the_speed(speed, others, wanted):
    np.testing.assert_allclose(
        Velocity().reward(jnp.float32(wanted), body(speed, others)), others - abs(speed - wanted), atol=1e-5
    )


def test_speeds_are_uniform_between_0_and_3():
    speeds = np.asarray(draws(Velocity()))
    assert speeds.min() >= 0 and speeds.max() <= 3
    assert speeds.mean() == pytest.approx(1.5, abs=0.25)


def test_a_goal_costs_its_distance_along_both_axes():
    reward = Goal().reward(jnp.array([1.0, -2.0]), body(speed=0.7, others=0.3, position=(0.5, 0.5)))
    np.testing.assert_allclose(reward, 0.3 - 0.5 - 2.5, rtol=1e-6)


def test_goals_fill_a_disc():
    distances = np.linalg.norm(draws(Goal()), axis=-1)
    assert distances.max() <= 3
    assert np.mean(distances < 3 / np.sqrt(2)) == pytest.approx(0.5, abs=0.12)  # half of the area


def test_there_are_as_many_tasks_as_may_be_drawn():
    assert [tasks.number for tasks in (OneTask, Direction, Velocity, Goal, Parameters)] == [1, 2, *3 * [np.inf]]


@pytest.mark.parametrize(
    ("tasks", "id", "backend", "named"),
    [
        ("goal", "halfcheetah", "spring", "ant"),
        ("direction", "inverted_pendulum", "spring", "halfcheetah"),
        ("parameters", "walker2d", "mjx", "generalized"),
    ],
)
def test_tasks_that_a_body_does_not_have_are_refused(tasks, id, backend, named):
    with pytest.raises(InputError, match=named):
        make_brax_tasks(tasks, id, backend)


@pytest.mark.long  # loading a body takes seconds
def test_parameters_change_a_body_for_its_own_task_only():
    system = brax_envs.get_environment("hopper", backend="spring").sys
    task = Parameters().draw(jax.random.key(0), system)
    changed = Parameters().system(task, system)
    for factors, base in ((task.masses, 1.5), (task.inertias, 1.5), (task.dampings, 1.3)):
        assert np.all(np.abs(np.log(factors)) <= 3 * np.log(base) + 1e-5)
    np.testing.assert_allclose(changed.link.inertia.mass, system.link.inertia.mass * task.masses)
    np.testing.assert_allclose(changed.link.inertia.i, system.link.inertia.i * task.inertias)
    np.testing.assert_allclose(changed.dof.damping, system.dof.damping * task.dampings)
    assert np.std(changed.link.inertia.mass / system.link.inertia.mass) > 0.1

    environment = make_environment(
        compose_job(["environment=walker_parameters", "evaluation.settings=[{}]"]).environment
    )
    before = jax.tree.leaves(environment._brax.sys)
    jax.eval_shape(lambda key: environment.reset(key, environment.sample_task(key)), jax.random.key(0))
    assert all(left is right for left, right in zip(before, jax.tree.leaves(environment._brax.sys), strict=True))


@pytest.mark.long  # tracing bodies takes seconds
@pytest.mark.parametrize("preset", PRESETS)
def test_a_lifetime_of_every_preset_can_be_scanned(preset):
    config = compose_job([f"environment={preset}", "evaluation.settings=[{}]"]).environment
    environment = make_environment(config)

    def advance(key):
        task = environment.sample_task(key)
        start = environment.reset(key, task)
        return start, step_or_reset(environment, key, task, *start, jnp.zeros(environment.action_spec().shape))

    before, after = jax.eval_shape(advance, jax.random.key(0))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), before) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), after
    )
    assert after[1].observation.shape == environment.observation_spec().shape
