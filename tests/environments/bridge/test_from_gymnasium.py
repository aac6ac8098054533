"""Gymnasium environments through dm_env's interface."""

import gymnasium
import numpy as np
import pytest
from dm_env import specs
from gymnasium import spaces

import podmeta
from podmeta.errors import InputError


class Counter(gymnasium.Env):
    """An episode of `length` steps that pays the action, and says where it is. It terminates or is truncated."""

    def __init__(self, terminates, length=2):
        self.observation_space = spaces.Discrete(10)
        self.action_space = spaces.Discrete(3, start=-1)
        self.seeds = []
        self._terminates, self._length = terminates, length

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self._steps = 0
        return 0, {}

    def step(self, action):
        assert action in self.action_space
        self._steps += 1
        ends = self._steps == self._length
        return self._steps, float(action), ends and self._terminates, ends and not self._terminates, {}


@pytest.mark.parametrize(("terminates", "discount"), [(True, 0.0), (False, 1.0)])
def test_episodes_end_as_dm_env_has_it(terminates, discount):
    inside = Counter(terminates)
    environment = podmeta.from_gymnasium(inside, seed=7)
    timesteps = [environment.reset(), *(environment.step(action) for action in (0, 2, 0, 1))]
    assert [timestep.step_type.name for timestep in timesteps] == ["FIRST", "MID", "LAST", "FIRST", "MID"]
    assert [timestep.reward for timestep in timesteps] == [None, -1.0, 1.0, None, 0.0]
    assert [int(timestep.observation) for timestep in timesteps] == [0, 1, 2, 0, 1]
    assert timesteps[2].discount == discount
    assert inside.seeds == [7, None]
    assert environment.observation_spec() == specs.DiscreteArray(10, np.int64, "observation")
    assert environment.action_spec() == specs.DiscreteArray(3, np.int64, "action")


@pytest.mark.parametrize("id", ["CartPole-v1", "MountainCarContinuous-v0"])
def test_time_steps_keep_to_the_specs(id):
    environment = podmeta.from_gymnasium(gymnasium.make(id), seed=0)
    timestep = environment.reset()
    for action in np.zeros((30, *environment.action_spec().shape), environment.action_spec().dtype):
        environment.observation_spec().validate(timestep.observation)
        timestep = environment.step(action)
    environment.close()


def test_spaces_of_other_kinds_are_told():
    environment = Counter(True)
    environment.observation_space = spaces.Text(3)
    with pytest.raises(InputError, match="observations of the space Text"):
        podmeta.from_gymnasium(environment, seed=0)
    environment = Counter(True)
    environment.action_space = spaces.Sequence(spaces.Discrete(2))
    with pytest.raises(InputError, match="actions of the space Sequence"):
        podmeta.from_gymnasium(environment, seed=0)
