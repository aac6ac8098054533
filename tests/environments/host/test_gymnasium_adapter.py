"""Gymnasium environments: against gymnasium's own vector environments, and how they refuse a wrong config."""

import gymnasium
import numpy as np
import pytest
from dm_env import StepType, specs
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from podmeta.config.schema import GymnasiumConfig
from podmeta.errors import InputError

BATCH, NUM_STEPS = 3, 200


class Odd(gymnasium.Env):
    """Takes and shows what the test says; a Discrete action comes back as the observation."""

    def __init__(self, observation_space=None, action_space=None):
        self.observation_space = observation_space or spaces.Box(-9, 9, (1,), np.float64)
        self.action_space = action_space or spaces.Discrete(3, start=-1)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1), {}

    def step(self, action):
        return np.array([float(action)]), 0.0, True, True, {}


gymnasium.register("podmeta/Odd-v0", Odd)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1", "MountainCar-v0"])
def test_a_batch_is_gymnasiums_own_vector_environment(id, mode, make, live):
    environment = make(GymnasiumConfig(id=id, options={"max_episode_steps": 70}), BATCH)
    spec, generator = environment.action_spec(), np.random.default_rng(0)

    def choose(_):
        if isinstance(spec, specs.DiscreteArray):
            return generator.integers(0, spec.num_values, BATCH).astype(np.int32)
        return generator.uniform(spec.minimum, spec.maximum, (BATCH, *spec.shape)).astype(np.float32)

    timesteps, actions = live(environment, NUM_STEPS, choose, seed=5)
    assert (timesteps.step_type == StepType.LAST).sum() >= 2 * BATCH
    # An environment that resets in the same step is one env step ahead after each end, so each row is played alone.
    for row in range(BATCH):
        own = SyncVectorEnv([lambda: gymnasium.make(id, max_episode_steps=70)], autoreset_mode=mode)
        observation, _ = own.reset(seed=[5 + row])
        np.testing.assert_allclose(timesteps.observation[0, row], observation[0], rtol=1e-6)
        pending = None
        for now in range(1, NUM_STEPS + 1):
            shown = timesteps.observation[now, row]
            if pending is not None:
                assert timesteps.step_type[now, row] == StepType.FIRST
                np.testing.assert_allclose(shown, pending, rtol=1e-6)
                pending = None
                continue
            observation, reward, terminated, truncated, info = own.step(actions[now - 1, row : row + 1])
            ended = terminated[0] or truncated[0]
            if mode == AutoresetMode.SAME_STEP and ended:
                pending, observation = observation[0], info["final_obs"]
            np.testing.assert_allclose(shown, observation[0], rtol=1e-6)
            np.testing.assert_allclose(timesteps.reward[now, row], reward[0], rtol=1e-6)
            assert (timesteps.step_type[now, row] == StepType.LAST) == ended
            assert timesteps.discount[now, row] == 1.0 - terminated[0]
        own.close()


def test_discrete_actions_count_from_where_gymnasium_counts_and_termination_wins(make, begin):
    environment = make(GymnasiumConfig(id="podmeta/Odd-v0"), 3)
    begin(environment)
    timestep = environment.step(np.arange(3, dtype=np.int32))
    np.testing.assert_array_equal(timestep.observation, [[-1.0], [0.0], [1.0]])
    assert (timestep.step_type == StepType.LAST).all() and (timestep.discount == 0).all()


def test_discrete_observations_are_one_hot(make, begin):
    environment = make(GymnasiumConfig(id="FrozenLake-v1"), 2)
    assert environment.observation_spec().shape == (16,)
    assert (begin(environment).observation.sum(axis=1) == 1).all()


def test_a_module_may_register_the_environment(make, begin, tmp_path, monkeypatch):
    (tmp_path / "my_own_environments.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Mine-v0', 'gymnasium.envs.classic_control:CartPoleEnv', max_episode_steps=9)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    environment = make(GymnasiumConfig(id="my_own_environments:Mine-v0"), 1)
    assert begin(environment).observation.shape == (1, 4)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            GymnasiumConfig(id="CartPol-v1"),
            r"environment\.id: gymnasium has no 'CartPol-v1'\. Did you mean .*CartPole-v1",
        ),
        (GymnasiumConfig(id="zzz"), r"No name there is similar\. Write .*my_module:MyEnvironment-v0"),
        (GymnasiumConfig(id="no_such_module:A-v0"), r"environment\.id: .*no_such_module"),
        (GymnasiumConfig(options={"gravity": 3}), r"environment\.id: gymnasium cannot make 'CartPole-v1'.*gravity"),
        (
            GymnasiumConfig(id="podmeta/Odd-v0", options={"observation_space": spaces.Text(3)}),
            r"gymnasium podmeta/Odd-v0 has observations of the space Text",
        ),
        (
            GymnasiumConfig(id="podmeta/Odd-v0", options={"action_space": spaces.MultiDiscrete([101, 10])}),
            r"gymnasium podmeta/Odd-v0 takes actions of .*1,010 combinations: podmeta takes at most 1,000",
        ),
    ],
)
def test_what_does_not_fit_is_told(config, message, make):
    with pytest.raises(InputError, match=message):
        make(config, 2)
