"""One host environment through dm_env's interface."""

import numpy as np
import pytest

from podmeta.config.schema import GymnasiumConfig
from podmeta.environments.bridge.host_as_dm_env import HostAsDmEnv
from podmeta.environments.host.registry import make_host_environment


def make(seed=0, **changes):
    return HostAsDmEnv(make_host_environment(GymnasiumConfig(**changes), 1), seed)


def test_it_shows_what_the_batch_shows():
    batch = make_host_environment(GymnasiumConfig(failure_reward=True), 1)
    rewards = []
    with make(failure_reward=True) as environment, batch:
        timestep, wanted = environment.reset(), batch.reset(np.ones(1, bool), np.zeros(1, np.uint32))
        for _ in range(60):
            np.testing.assert_array_equal(timestep.observation, wanted.observation[0])
            assert timestep.step_type == wanted.step_type[0]
            assert (timestep.reward or 0.0, timestep.discount or 0.0) == (
                wanted.reward[0],
                0.0 if timestep.first() else wanted.discount[0],
            )
            rewards.append(timestep.reward)
            timestep, wanted = environment.step(1), batch.step(np.ones(1, np.int32))
    assert {None, -1.0, 0.0} == set(rewards)


def test_the_first_step_begins_the_lifetime_and_only_it_does():
    with make() as environment:
        assert environment.step(0).first()
        with pytest.raises(ValueError, match="has begun"):
            environment.reset()


def test_continuous_actions_go_through():
    with make(id="MountainCarContinuous-v0") as environment:
        environment.reset()
        pushed = environment.step(np.ones(1, np.float32)).observation
    with make(id="MountainCarContinuous-v0") as environment:
        environment.reset()
        assert environment.step(-np.ones(1, np.float32)).observation[1] < pushed[1]
