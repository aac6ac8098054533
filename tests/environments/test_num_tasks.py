"""How many tasks environments say they have, against how many they draw."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from podmeta.config.schema import (
    BanditConfig,
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
)
from podmeta.environments.registry import make_environment

CARTPOLE = GymnaxConfig(id="CartPole-v1")
NUM_DRAWS = 2000


def num_drawn(config):
    tasks = jax.jit(jax.vmap(make_environment(config).sample_task))(jax.random.split(jax.random.key(0), NUM_DRAWS))
    leaves = [np.asarray(leaf).reshape(NUM_DRAWS, -1).astype(np.float64) for leaf in jax.tree.leaves(tasks)]
    return len(np.unique(np.concatenate([*leaves, np.zeros((NUM_DRAWS, 1))], axis=1), axis=0))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BanditConfig(num_arms=2, distribution="dependent_hard"), 2),
        (ContextualBanditConfig(num_contexts=2, num_actions=2), 25),
        (ContextualBanditConfig(num_contexts=2, num_actions=2, permute_actions=True), 50),
        (GridWorldConfig(), 1),
        (GridWorldConfig(rewards="random_sign"), 2),
        (GridWorldConfig(rewards="random_sign", num_inner_walls=1), 32),
        (DarkRoomConfig(), 81),
        (KeyToDoorConfig(height=2, width=3), 36),
        (CARTPOLE, 1),
        (dataclasses.replace(CARTPOLE, flip_observation_signs=True), 16),
        (dataclasses.replace(CARTPOLE, flip_observation_signs=True, observation_copies=2), 16),
        (dataclasses.replace(CARTPOLE, permute_observations=True), 24),
        (dataclasses.replace(CARTPOLE, permute_actions=True, padded_num_actions=4), 2),
        (dataclasses.replace(CARTPOLE, failure_reward=True, observation_scale=[2.0]), 1),
    ],
)
def test_so_many_tasks_are_drawn(config, expected):
    assert make_environment(config).num_tasks == expected
    assert num_drawn(config) == expected


@pytest.mark.long
@pytest.mark.parametrize(
    "config",
    [
        BanditConfig(),
        BanditConfig(permute_actions=True),
        BanditConfig(num_arms=2, distribution="dependent_uniform"),
        GridWorldConfig(rewards="random"),
        TabularMDPConfig(),
        LinearControlConfig(),
        RandomMDPConfig(),
        OscillatorConfig(),
    ],
)
def test_where_tasks_are_unlimited_all_that_are_drawn_differ(config):
    assert make_environment(config).num_tasks == math.inf
    assert num_drawn(config) == NUM_DRAWS


def test_positions_that_are_drawn_by_episode_are_no_task():
    assert make_environment(ObjectGridWorldConfig(positions="episode")).num_tasks == 1
    assert make_environment(ObjectGridWorldConfig(positions="task")).num_tasks > 10**6


def test_many_permutations_are_counted_as_too_many():
    size = 8 * 8
    config = GridWorldConfig(height=8, width=8, view="full", permute_observations=True, permute_actions=True)
    assert math.prod(make_environment(config).observation_spec().shape) > size
    assert make_environment(config).num_tasks == math.inf
