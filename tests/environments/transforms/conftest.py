"""Specs, time steps and actions to be transformed."""

import dm_env
import numpy as np
import pytest
from dm_env import specs

from podmeta.environments.specs import EnvironmentSpecs


def make_specs(shape=(2, 3), num_actions=4, continuous=False, dtype=np.float32, episodes_end=True):
    """Of an environment whose observation components have bounds that differ."""
    size = int(np.prod(shape))
    low = -np.arange(1.0, size + 1).reshape(shape)
    observation = specs.BoundedArray(shape, dtype, low, 3.0)
    if dtype == np.uint8:
        observation = specs.BoundedArray(shape, dtype, 0, 255)
    action = (
        specs.BoundedArray((num_actions,), np.float32, -2.0, 2.0)
        if continuous
        else specs.DiscreteArray(num_actions, np.int32)
    )
    return EnvironmentSpecs(observation, action, episodes_end)


def random_timestep(inside, seed, batch=(5,)):
    """A time step of a batch, with observations within their bounds. All kinds of step types and discounts occur."""
    generator = np.random.default_rng(seed)
    spec = inside.observation
    share = generator.uniform(size=(*batch, *spec.shape))
    return dm_env.TimeStep(
        step_type=generator.integers(0, 3, batch).astype(np.int32),
        reward=generator.normal(size=batch).astype(np.float32),
        discount=generator.integers(0, 2, batch).astype(np.float32),
        observation=(spec.minimum + share * (spec.maximum.astype(np.float64) - spec.minimum)).astype(spec.dtype),
    )


def random_action(spec, seed, batch=(5,)):
    """Actions of a batch."""
    generator = np.random.default_rng(seed)
    if isinstance(spec, specs.DiscreteArray):
        return generator.integers(0, spec.num_values, batch).astype(np.int32)
    return generator.uniform(-1, 1, (*batch, *spec.shape)).astype(np.float32)


@pytest.fixture(scope="session")
def specs_with():
    return make_specs


@pytest.fixture(scope="session")
def timestep_of():
    return random_timestep


@pytest.fixture(scope="session")
def action_of():
    return random_action
