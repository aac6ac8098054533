"""Dark key-to-door, against plain rules."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.jax.key_to_door import KeyToDoor, KeyToDoorState, KeyToDoorTask
from podmeta.errors import InputError

MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]
SIZES = {"paper": (9, 9, 50), "small": (2, 2, 12), "one cell": (1, 1, 4)}
environment_of = functools.cache(lambda name: KeyToDoor(*SIZES[name]))


@pytest.mark.parametrize("name", SIZES)
@given(seed=st.integers(0, 2**31 - 1))
def test_every_step_follows_the_rules(play, name, seed):
    height, width, episode_length = SIZES[name]
    paid_before = []
    for task, state, timestep, action, next_state, next_timestep in play(environment_of(name), seed, num_steps=60):
        row, column = divmod(int(state.agent), width)
        next_row, next_column = divmod(int(next_state.agent), width)
        shown = [r == next_row for r in range(height)] + [c == next_column for c in range(width)]
        np.testing.assert_array_equal(next_timestep.observation, np.array(shown, np.float32))
        if timestep.last():
            assert next_timestep.first() and next_timestep.reward == 0
            assert not next_state.has_key and not next_state.is_open
            continue
        if state.steps == 0:
            paid_before = []
        moved = (row + MOVES[action][0], column + MOVES[action][1])
        inside = 0 <= moved[0] < height and 0 <= moved[1] < width
        assert (next_row, next_column) == (moved if inside else (row, column))
        wanted = {0: task.key, 1: task.door}.get(len(paid_before), -1)
        assert next_timestep.reward == (next_state.agent == wanted)
        if next_timestep.reward:
            paid_before.append(int(next_state.agent))
        assert next_timestep.last() == (next_state.steps == episode_length)
        assert next_timestep.discount == 1, "it ends by its time limit alone"


def test_a_key_in_the_doors_cell_takes_one_step_and_the_door_the_next():
    environment, stay = environment_of("paper"), jnp.array(4)
    task = KeyToDoorTask(jnp.array(3), jnp.array(3))
    state = KeyToDoorState(jnp.array(3), jnp.array(False), jnp.array(False), jnp.array(0))
    rewards = []
    for _ in range(3):
        state, timestep = environment.step(jax.random.key(0), task, state, stay)
        rewards.append(float(timestep.reward))
    assert rewards == [1, 1, 0]


def test_episodes_start_anywhere(assert_frequency):
    environment = environment_of("small")
    task = environment.sample_task(jax.random.key(0))
    states, _ = jax.vmap(lambda key: environment.reset(key, task))(jax.random.split(jax.random.key(1), 4000))
    for cell in range(4):
        assert_frequency(states.agent == cell, 1 / 4)


def test_a_config_of_no_room_is_told():
    with pytest.raises(InputError, match=r"environment\.episode_length"):
        KeyToDoor(9, 9, 0)
