"""brax environments: against brax's own steps, at episode ends, and every body for its types."""

from types import SimpleNamespace

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import BraxConfig
from podmeta.environments.base import is_last, step_or_reset

brax_envs = pytest.importorskip("brax.envs")

from podmeta.environments.jax.brax_adapter import BraxEnvironment  # noqa: E402
from podmeta.environments.jax.brax_tasks import OneTask  # noqa: E402

EPISODE_LENGTH = 1000
BACKENDS = BraxConfig.__dataclass_fields__["backend"].metadata["choices"]
VARIANTS = [
    *(("inverted_pendulum", each) for each in BACKENDS if each != "mjx"),
    pytest.param("inverted_pendulum", "mjx", marks=pytest.mark.long),  # the trace alone takes as long as all others
    *(pytest.param(id, "spring", marks=pytest.mark.long) for id in ("ant", "reacher")),
]


@pytest.fixture(scope="module")
def pendulum():
    """The environment."""
    return BraxEnvironment("inverted_pendulum", "spring", EPISODE_LENGTH, OneTask())


@pytest.fixture(scope="module")
def step(pendulum):
    """Its step, compiled."""
    return jax.jit(lambda state, action: pendulum.step(jax.random.key(0), (), state, action))


@pytest.fixture(scope="module")
def start(pendulum):
    """The state and the time step at the start of an episode."""
    return jax.jit(pendulum.reset)(jax.random.key(0), ())


def test_brax_has_every_body_of_the_schema():
    assert set(BraxConfig.__dataclass_fields__["id"].metadata["choices"]) <= set(brax_envs._envs)


@pytest.mark.long
def test_it_steps_like_brax(start, step):
    own_step = jax.jit(brax_envs.get_environment("inverted_pendulum", backend="spring").step)
    state, timestep = start
    expected = state.body
    np.testing.assert_array_equal(timestep.observation, expected.obs)
    for action in np.random.default_rng(0).uniform(-1.0, 1.0, (10, 1)).astype(np.float32):
        state, timestep = step(state, action)
        expected = own_step(expected, action)
        np.testing.assert_allclose(timestep.observation, expected.obs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(timestep.reward, expected.reward, rtol=1e-5)
        assert timestep.discount == 1.0 - expected.done


def test_a_fall_terminates_and_the_time_limit_truncates_and_both_at_once_terminate(start, step):
    before, timestep = start
    state = before
    while not is_last(timestep):
        before = state
        state, timestep = step(before, jnp.ones(1))
    assert 1 < state.steps < EPISODE_LENGTH
    assert timestep.discount == 0.0

    out_of_time = jnp.int32(EPISODE_LENGTH - 1)
    _, timestep = step(start[0]._replace(steps=out_of_time), jnp.ones(1))
    assert (timestep.step_type, timestep.discount) == (dm_env.StepType.LAST, 1.0)
    _, timestep = step(before._replace(steps=out_of_time), jnp.ones(1))
    assert (timestep.step_type, timestep.discount) == (dm_env.StepType.LAST, 0.0)


def test_an_episode_without_a_time_limit_goes_on(start, monkeypatch):
    endless, limited = (
        BraxEnvironment("inverted_pendulum", "spring", length, OneTask()) for length in (0, EPISODE_LENGTH)
    )
    state = start[0]._replace(steps=jnp.int32(EPISODE_LENGTH - 1))

    def last(environment):
        monkeypatch.setattr(
            environment, "_brax", SimpleNamespace(step=lambda body, action: body, sys=None)
        )  # quick to compile
        return is_last(environment.step(jax.random.key(0), (), state, jnp.zeros(1))[1])

    assert last(limited) and not last(endless)


@pytest.mark.long
@pytest.mark.parametrize(("id", "backend"), VARIANTS)
def test_bodies_can_be_scanned_and_their_states_saved(id, backend):
    environment = BraxEnvironment(id, backend, 1000, OneTask())
    action = jnp.zeros(environment.action_spec().shape)

    def advance(key):
        start = environment.reset(key, ())
        return start, step_or_reset(environment, key, (), *start, action)

    # Nothing has to be compiled to see that types and shapes stay.
    before, after = jax.eval_shape(advance, jax.random.key(0))
    assert _types(before) == _types(after)
    assert after[1].observation.shape == environment.observation_spec().shape
    assert all(isinstance(leaf.dtype, np.dtype) for leaf in jax.tree.leaves(after))


@pytest.mark.long  # of the bodies that count something, none is quicker to trace
def test_a_step_leaves_the_state_before_it_as_it_was():
    environment = BraxEnvironment("reacher", "spring", 1000, OneTask())

    def metrics_around_a_step(key):
        state, _ = environment.reset(key, ())
        before = dict(state.body.metrics)
        environment.step(key, (), state, jnp.zeros(2))
        assert before and all(state.body.metrics[name] is value for name, value in before.items())

    jax.eval_shape(metrics_around_a_step, jax.random.key(0))


def _types(tree):
    return [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(tree)]
