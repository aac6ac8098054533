"""Every environment conforms to dm_env's contract, as seen through the adapter."""

import functools
import importlib.util
import unittest

import dm_env
import jax
import numpy as np
import pytest
from dm_env import specs, test_utils

from podmeta.config.schema import (
    BanditConfig,
    BraxConfig,
    ContextualBanditConfig,
    DarkRoomConfig,
    GridWorldConfig,
    GymnaxConfig,
    KeyToDoorConfig,
    LinearControlConfig,
    ObjectGridWorldConfig,
    OscillatorConfig,
    RandomMDPConfig,
    TabularMDPConfig,
    XLandConfig,
)
from podmeta.environments.bridge.as_dm_env import DmEnvAdapter
from podmeta.environments.jax.bandit import DISTRIBUTIONS, Bandit
from podmeta.environments.registry import make_environment

CONFIGS = {
    **{name: BanditConfig(num_arms=2, distribution=name) for name in DISTRIBUTIONS},
    **{
        id: GymnaxConfig(id=id, parameters={"max_steps_in_episode": 15})
        for id in [
            "CartPole-v1",
            "Acrobot-v1",
            "MountainCar-v0",
            "Pendulum-v1",
            "MountainCarContinuous-v0",
            "Catch-bsuite",
            "DeepSea-bsuite",
            "FourRooms-misc",
            "FrozenLake-misc",
        ]
    },
    "contextual bandit": ContextualBanditConfig(),
    "grid-world": GridWorldConfig(border="wall", num_inner_walls=2, respawn_probability=0.2, episode_length=15),
    "endless grid-world": GridWorldConfig(view="full"),
    "object grid-world": ObjectGridWorldConfig(mode="sparse"),
    "random object grid-world": ObjectGridWorldConfig(mode="longer", positions="episode"),
    "dark room": DarkRoomConfig(),
    "key to door": KeyToDoorConfig(episode_length=15),
    "tabular MDP": TabularMDPConfig(),
    "linear control": LinearControlConfig(difficulty=1.0),
    "continuous linear control": LinearControlConfig(num_actions=2, continuous=True),
    "random MDP": RandomMDPConfig(rewards=["goal"]),
    "oscillator": OscillatorConfig(),
    "wrapped": GymnaxConfig(
        id="CartPole-v1",
        permute_observations=True,
        permute_actions=True,
        flip_observation_signs=True,
        observation_scale=[-2.0],
        failure_reward=True,
    ),
    "wrapped continuous": GymnaxConfig(
        id="Pendulum-v1",
        parameters={"max_steps_in_episode": 15},
        permute_observations=True,
        permute_actions=True,
        flip_observation_signs=True,
    ),
}
if importlib.util.find_spec("xminigrid"):
    CONFIGS["XLand"] = XLandConfig(num_rules=1, view_size=3, episode_length=15)
if importlib.util.find_spec("brax"):
    CONFIGS["brax"] = BraxConfig(episode_length=15)


def named(*kinds):
    """The names of the configs of these kinds. Those whose steps take long to compile are for `make test-all`."""
    slow = (XLandConfig, BraxConfig)
    return [
        pytest.param(name, marks=pytest.mark.long if isinstance(config, slow) else ())
        for name, config in CONFIGS.items()
        if isinstance(config, kinds)
    ]


def fresh_adapter(name):
    """An adapter at the start of a lifetime; its compiled functions are shared between tests."""
    adapter = _adapter(name)
    adapter.new_lifetime()
    return adapter


@functools.cache
def _adapter(name):
    return DmEnvAdapter(make_environment(CONFIGS[name]), seed=0)


class Conformance(test_utils.EnvironmentTestMixin, unittest.TestCase):
    """dm_env's own checks of one environment. pytest runs them by way of `test_conforms`."""

    __test__ = False

    def __init__(self, check, name):
        super().__init__(check)
        self._name = name

    def make_object_under_test(self):
        return fresh_adapter(self._name)

    def make_action_sequence(self):
        random = np.random.default_rng(0)
        spec = self.environment.action_spec()
        for _ in range(40):
            if isinstance(spec, specs.DiscreteArray):
                yield spec.dtype.type(random.integers(spec.num_values))
            else:
                yield random.uniform(spec.minimum, spec.maximum, spec.shape).astype(spec.dtype)


@pytest.mark.long
@pytest.mark.parametrize("check", unittest.defaultTestLoader.getTestCaseNames(Conformance))
@pytest.mark.parametrize("name", named(object))
def test_conforms(name, check):
    result = Conformance(check, name).run()
    assert result.testsRun == 1
    assert not result.failures + result.errors, result.failures + result.errors


@pytest.mark.parametrize("name", named(GymnaxConfig, XLandConfig, BraxConfig))
def test_the_action_sequence_reaches_ends_of_episodes(name):
    """Without this, the checks above could miss the contract around them."""
    case = Conformance("test_reset", name)
    case.setUp()
    assert any(case.environment.step(action).last() for action in case.make_action_sequence())


def test_a_lifetime_has_one_task_and_the_next_another():
    environment = fresh_adapter("wrapped")
    first = environment.reset().observation
    observations = [environment.reset().observation for _ in range(3)]
    assert not any(np.array_equal(first, observation) for observation in observations)  # episodes differ

    class TaskTelling(Bandit):
        def step(self, key, task, state, action):
            state, timestep = super().step(key, task, state, action)
            return state, timestep._replace(reward=task[action])

    environment = DmEnvAdapter(TaskTelling(5), seed=0)
    rewards = []
    for _ in range(3):
        assert environment.step(2).first()
        lifetime = {environment.step(2).reward for _ in range(3)}
        environment.reset()
        lifetime |= {environment.step(2).reward}
        assert len(lifetime) == 1
        rewards += lifetime
        environment.new_lifetime()
    assert len(set(rewards)) == 3


def test_a_seed_repeats_and_another_differs():
    cart_pole = make_environment(CONFIGS["CartPole-v1"])

    def play(seed):
        environment = DmEnvAdapter(cart_pole, seed)
        return np.concatenate([environment.step(0).observation for _ in range(8)])

    np.testing.assert_array_equal(play(3), play(3))
    assert not np.array_equal(play(3), play(4))


def test_time_steps_are_numpy_and_first_ones_bare():
    environment = fresh_adapter("CartPole-v1")
    first, second = environment.step(0), environment.step(0)
    assert (first.step_type, first.reward, first.discount) == (dm_env.StepType.FIRST, None, None)
    for timestep in (first, second):
        assert isinstance(timestep.observation, np.ndarray)
        assert not any(isinstance(leaf, jax.Array) for leaf in timestep)
