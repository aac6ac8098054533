"""Pools of envpool: what they show and take, Atari's memory, and how they refuse a wrong config."""

import functools

import dm_env
import jax
import numpy as np
import pytest
from dm_env import StepType, specs

from podmeta.config.schema import EnvpoolConfig
from podmeta.errors import InputError


@pytest.mark.parametrize(
    ("config", "shape", "dtype"),
    [
        (EnvpoolConfig(id="Pong-v5"), (4, 84, 84), "uint8"),
        (EnvpoolConfig(id="Pong-v5", options={"img_height": 42, "stack_num": 2}), (2, 42, 84), "uint8"),
        (EnvpoolConfig(id="Pong-v5", observation="ram"), (128,), "uint8"),
        (EnvpoolConfig(id="FrozenLake-v1"), (16,), "float32"),  # a discrete observation, one-hot
        (EnvpoolConfig(id="AcrobotSwingup-v1"), (6,), "float32"),  # two arrays of double precision, strung together
    ],
)
def test_observations_are_what_the_spec_says(config, shape, dtype, make, begin):
    environment = make(config, 2)
    spec = environment.observation_spec()
    assert (spec.shape, spec.dtype.name) == (shape, dtype)
    action_spec = environment.action_spec()
    actions = np.zeros((2, *action_spec.shape), action_spec.dtype)
    for timestep in (begin(environment), environment.step(actions), environment.step(actions)):
        assert timestep.observation.dtype == dtype
        assert timestep.observation.shape == (2, *shape)
        for observation in timestep.observation if config.id != "AcrobotSwingup-v1" else []:
            spec.validate(observation)  # envpool declares wrong bounds for what dm_control does not bound
    if config.id == "FrozenLake-v1":
        assert (timestep.observation.sum(axis=1) == 1).all()


def test_continuous_actions_reach_the_pool(make, begin):
    environment = make(EnvpoolConfig(id="Pendulum-v1"), 2)
    assert environment.action_spec() == specs.BoundedArray((1,), np.float32, [-2.0], [2.0], "action")
    before = begin(environment)
    after = environment.step(np.array([[2.0], [-2.0]], np.float32))
    change = after.observation[:, 2] - before.observation[:, 2] - 15 * np.sin(_angle(before)) * 0.05
    np.testing.assert_allclose(change, [0.3, -0.3], atol=1e-3)  # 3 u dt, by Pendulum's equation


def _angle(timestep):
    return np.arctan2(timestep.observation[:, 1], timestep.observation[:, 0])


def test_episodes_of_atari_are_truncated_apart_and_start_again(make, live):
    environment = make(EnvpoolConfig(id="Pong-v5", observation="ram", options={"max_episode_steps": 5}), 2)
    timesteps, _ = live(environment, 13, lambda _: np.zeros(2, np.int32))
    episode = [StepType.FIRST, *[StepType.MID] * 4, StepType.LAST]
    np.testing.assert_array_equal(timesteps.step_type.T, [(episode * 3)[:14]] * 2)
    assert (timesteps.discount == 1).all()
    assert (timesteps.reward == 0).all()


def test_a_lost_life_ends_an_episode_where_it_is_asked_to(make, live):
    config = EnvpoolConfig(id="Breakout-v5", observation="ram", options={"episodic_life": True, "noop_max": 1})
    timesteps, _ = live(make(config, 2), 400, lambda timestep: np.full(2, 1, np.int32))
    last = timesteps.step_type == StepType.LAST
    assert last.sum() >= 4
    np.testing.assert_array_equal(timesteps.step_type[1:] == StepType.FIRST, last[:-1])
    assert (timesteps.discount[last] == 0).all()


def test_several_discrete_actions_are_one_of_all_their_combinations(make, begin):
    environment = make(EnvpoolConfig(id="BinPack-v2"), 2)  # 40 items at 20 places
    assert environment.action_spec().num_values == 800
    begin(environment)
    assert np.isfinite(environment.step(np.array([0, 799], np.int32)).reward).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (EnvpoolConfig(id="CartPol-v1"), r"environment\.id: envpool has no 'CartPol-v1'\. Did you mean .*CartPole-v1"),
        (
            EnvpoolConfig(options={"max_steps": 3}),
            r"environment\.options\.max_steps: .* Did you mean .*max_episode_steps",
        ),
        (
            EnvpoolConfig(options={"max_episode_steps": "few"}),
            r"environment\.options\.max_episode_steps is 'few'.* 500",
        ),
        (EnvpoolConfig(options={"num_envs": 3}), r"environment\.options\.num_envs is set by podmeta: remove it"),
        (EnvpoolConfig(observation="ram"), r"environment\.observation=ram: envpool CartPole-v1 provides obs$"),
        (EnvpoolConfig(id="Pong-v5", observation="lives"), "provides obs, ram$"),
    ],
)
def test_what_does_not_fit_is_told(config, message, make):
    with pytest.raises(InputError, match=message):
        make(config, 2)


@pytest.mark.long
@pytest.mark.parametrize(
    "config",
    [
        EnvpoolConfig(options={"max_episode_steps": 7}),  # CartPole, whose episodes terminate and are truncated
        EnvpoolConfig(id="Pendulum-v1"),
        EnvpoolConfig(id="FrozenLake-v1"),
        EnvpoolConfig(id="Pong-v5", options={"max_episode_steps": 5, "img_height": 42}),
        EnvpoolConfig(id="Pong-v5", observation="ram"),
    ],
    ids=lambda config: f"{config.id} {config.observation}",
)
def test_a_compiled_step_is_a_step(config, make, begin):
    """In turns: some env steps in a program, some from Python, and the start of one lifetime."""
    from_python, mixed = make(config, 3), make(config, 3)
    expected, timestep = begin(from_python), begin(mixed)
    compiled = mixed.compiled_step()
    several = jax.jit(functools.partial(_several, compiled.step))
    generator, spec, seen = np.random.default_rng(0), from_python.action_spec(), set()
    for _ in range(4):
        actions = _random_actions(generator, spec, (8, 3))
        timestep = dm_env.TimeStep(*map(np.asarray, several(timestep, actions[:6])))
        compiled.has_stepped(6, timestep)
        timestep = [mixed.step(each) for each in actions[6:]][-1]
        for each in actions:
            expected = from_python.step(each)
            seen |= set(expected.step_type.tolist())
        jax.tree.map(_assert_equal, expected, timestep)
        starts, seeds = np.array([False, True, False]), np.zeros(3, np.uint32)
        expected, timestep = from_python.reset(starts, seeds), mixed.reset(starts, seeds)
        jax.tree.map(_assert_equal, expected, timestep)
    assert config.id == "Pendulum-v1" or config.observation == "ram" or seen == {0, 1, 2}


def _several(step, timestep, actions):
    return jax.lax.scan(lambda timestep, actions: (step(timestep, actions), None), timestep, actions)[0]


def _random_actions(generator, spec, shape):
    if isinstance(spec, specs.DiscreteArray):
        return generator.integers(spec.num_values, size=shape, dtype=np.int32)
    return generator.uniform(-1.0, 1.0, (*shape, *spec.shape)).astype(np.float32)


def _assert_equal(expected, actual):
    assert expected.dtype == actual.dtype
    np.testing.assert_array_equal(expected, actual)


def test_a_pool_of_double_precision_has_no_compiled_step(make, begin):
    environment = make(EnvpoolConfig(id="AcrobotSwingup-v1"), 2)
    begin(environment)
    assert environment.compiled_step() is None


def test_what_a_transform_changes_has_no_compiled_step(make, begin):
    environment = make(EnvpoolConfig(failure_reward=True), 2)
    begin(environment)
    assert environment.compiled_step() is None
