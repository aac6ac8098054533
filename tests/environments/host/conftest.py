"""Making and playing batches of host environments."""

import dm_env
import numpy as np
import pytest

from podmeta.config.schema import FactoryConfig
from podmeta.environments.host.registry import make_host_environment

FACTORIES = "tests.environments.host.factories"


@pytest.fixture
def make():
    """make(config, num_environments): a batch, closed when the test ends."""
    made = []

    def make(config, num_environments):
        made.append(make_host_environment(config, num_environments))
        return made[-1]

    yield make
    for environment in made:
        environment.close()


@pytest.fixture
def make_script(make):
    """make_script(num_environments, transforms and vectorisation, **options): a batch of scripted environments."""

    def make_script(num_environments, keys=None, **options):
        config = FactoryConfig(factory=f"{FACTORIES}:Script", options=options, **(keys or {}))
        return make(config, num_environments)

    return make_script


def begin_all(environment, seed=0):
    """Starts a lifetime everywhere, with the seeds `seed`, `seed` + 1, …"""
    size = environment.num_environments
    return environment.reset(np.ones(size, bool), np.arange(seed, seed + size, dtype=np.uint32))


def play(environment, num_steps, choose, seed=0):
    """Lives from the start of a lifetime: the time steps [num_steps + 1, B, ...] and the actions [num_steps, B]."""
    timesteps, actions = [begin_all(environment, seed)], []
    for _ in range(num_steps):
        actions.append(choose(timesteps[-1]))
        timesteps.append(environment.step(actions[-1]))
    return dm_env.TimeStep(*(np.stack(arrays) for arrays in zip(*timesteps, strict=True))), np.stack(actions)


@pytest.fixture(scope="session")
def begin():
    return begin_all


@pytest.fixture(scope="session")
def live():
    return play
