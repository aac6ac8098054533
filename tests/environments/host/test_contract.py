"""All sources of one environment keep one contract: CartPole from envpool, gymnasium and gymnax, step by step."""

import functools

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import StepType
from gymnax.environments.classic_control.cartpole import EnvState

from podmeta.config.schema import EnvpoolConfig, FactoryConfig, GymnasiumConfig

FACTORIES = "tests.environments.host.factories"
SOURCES = {
    "envpool": EnvpoolConfig(),
    "gymnasium": GymnasiumConfig(),
    "gymnasium_in_processes": GymnasiumConfig(vectorisation="processes", num_processes=2),
    "gymnax_through_dm_env": FactoryConfig(factory=f"{FACTORIES}:gymnax_cart_pole"),
}
BATCH, NUM_STEPS, TIME_LIMIT = 4, 1100, 500


def choose(generator, timestep):
    """Balances the pole in the first half of the batch, and plays at random in the other."""
    position, speed, angle, turn = timestep.observation.T
    balancing = (angle + 0.3 * turn + 0.02 * position + 0.05 * speed > 0).astype(np.int32)
    return np.where(np.arange(BATCH) < BATCH // 2, balancing, generator.integers(0, 2, BATCH).astype(np.int32))


@functools.cache
def dynamics():
    """(observation, steps of the episode so far, action) -> next observation, terminated, truncated: gymnax's own."""
    environment, parameters = gymnax.make("CartPole-v1")

    def step(observation, time, action):
        state = EnvState(time=time, **dict(zip(("x", "x_dot", "theta", "theta_dot"), observation, strict=True)))
        after, state, _, terminated, _ = environment.step_env(jax.random.key(0), state, action, parameters)
        return after, terminated, environment.is_truncated(state, parameters)

    return jax.jit(jax.vmap(jax.vmap(step)))


def steps_since_first(step_type):
    """[T, B] how many steps of its episode a time step has behind it."""
    counts = np.zeros(step_type.shape, int)
    for now in range(1, len(step_type)):
        counts[now] = np.where(step_type[now] == StepType.FIRST, 0, counts[now - 1] + 1)
    return counts


@pytest.mark.long
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_plays_the_same_cart_pole(name, make, live):
    environment = make(SOURCES[name], BATCH)
    assert environment.action_spec().num_values == 2
    assert environment.observation_spec().shape == (4,)
    timesteps, actions = live(environment, NUM_STEPS, functools.partial(choose, np.random.default_rng(0)))
    assert {array.dtype.name for array in timesteps} == {"int32", "float32"}

    first, last = timesteps.step_type == StepType.FIRST, timesteps.step_type == StepType.LAST
    assert first[0].all()
    np.testing.assert_array_equal(first[1:], last[:-1])
    assert (timesteps.reward[first] == 0).all() and (timesteps.reward[~first] == 1).all()
    assert (timesteps.discount[~last] == 1).all()
    assert (np.abs(timesteps.observation[first]) <= 0.05).all()

    # Every step that is no reset is gymnax's, from where the source stood.
    played = ~first[1:]
    time = steps_since_first(timesteps.step_type)
    after, terminated, truncated = map(
        np.asarray, dynamics()(timesteps.observation[:-1], jnp.asarray(time[:-1]), jnp.asarray(actions))
    )
    np.testing.assert_allclose(timesteps.observation[1:][played], after[played], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(last[1:][played], (terminated | truncated)[played])
    np.testing.assert_array_equal(timesteps.discount[1:][played], 1.0 - terminated[played])

    cut_off = last & (timesteps.discount == 1)
    assert (time[cut_off] == TIME_LIMIT).all()
    assert cut_off[:, : BATCH // 2].sum() == BATCH  # two episodes of 500 steps and a reset in each balanced row
    assert (last & (timesteps.discount == 0))[:, BATCH // 2 :].sum() > 40


@pytest.mark.parametrize("name", SOURCES)
def test_a_lifetime_begins_in_some_rows_and_leaves_the_others(name, make, begin):
    environment = make(SOURCES[name], BATCH)
    begin(environment)
    before = environment.step(np.zeros(BATCH, np.int32))
    kept = [array.copy() for array in before]
    starts = np.array([False, True, False, True])
    after = environment.reset(starts, np.arange(50, 50 + BATCH, dtype=np.uint32))
    for array, was in zip(before, kept, strict=True):
        np.testing.assert_array_equal(array, was)
    np.testing.assert_array_equal(after.step_type, np.where(starts, StepType.FIRST, StepType.MID))
    np.testing.assert_array_equal(after.reward, np.where(starts, 0.0, 1.0))
    np.testing.assert_array_equal(after.observation[~starts], before.observation[~starts])
    assert (after.observation[starts] != before.observation[starts]).all()
    assert (np.abs(after.observation[starts]) <= 0.05).all()
    untouched = environment.reset(np.zeros(BATCH, bool), np.zeros(BATCH, np.uint32))
    for array, was in zip(untouched, after, strict=True):
        np.testing.assert_array_equal(array, was)
    # A started row steps on as if nothing had been before.
    assert (environment.step(np.zeros(BATCH, np.int32)).step_type == StepType.MID).all()


@pytest.mark.long
@pytest.mark.parametrize("name", SOURCES)
def test_what_happens_follows_from_the_seeds(name, make, live):
    generators = [np.random.default_rng(3) for _ in range(3)]
    environment = make(SOURCES[name], BATCH)
    histories = [
        live(environment, 60, functools.partial(choose, generator), seed)[0]
        for generator, seed in zip(generators, (2**32 - BATCH, 7, 2**32 - BATCH), strict=True)
    ]
    np.testing.assert_array_equal(histories[0].observation, histories[2].observation)
    np.testing.assert_array_equal(histories[0].step_type, histories[2].step_type)
    assert (histories[0].observation[0] != histories[1].observation[0]).all()
    # Rows of different seeds differ.
    assert len(np.unique(histories[0].observation[0], axis=0)) == BATCH
