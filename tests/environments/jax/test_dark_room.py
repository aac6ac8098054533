"""The dark room, against plain rules."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.jax.dark_room import DarkRoom
from podmeta.errors import InputError

MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]
SIZES = {"paper": (9, 9, 20), "narrow": (2, 5, 3), "one cell": (1, 1, 1)}
environment_of = functools.cache(lambda name: DarkRoom(*SIZES[name]))


@pytest.mark.parametrize("name", SIZES)
@given(seed=st.integers(0, 2**31 - 1))
def test_every_step_follows_the_rules(play, name, seed):
    height, width, episode_length = SIZES[name]
    for goal, state, timestep, action, next_state, next_timestep in play(environment_of(name), seed, num_steps=45):
        assert 0 <= goal < height * width
        row, column = divmod(int(state.agent), width)
        next_row, next_column = divmod(int(next_state.agent), width)
        shown = [r == next_row for r in range(height)] + [c == next_column for c in range(width)]
        np.testing.assert_array_equal(next_timestep.observation, np.array(shown, np.float32))
        if timestep.last():
            assert next_timestep.first()
            assert (next_row, next_column) == (height // 2, width // 2)
            assert next_timestep.reward == next_state.steps == 0
            continue
        moved = (row + MOVES[action][0], column + MOVES[action][1])
        inside = 0 <= moved[0] < height and 0 <= moved[1] < width
        assert (next_row, next_column) == (moved if inside else (row, column))
        assert next_timestep.reward == (next_state.agent == goal)
        assert next_timestep.last() == (next_state.steps == episode_length)
        assert next_timestep.discount == 1, "it ends by its time limit alone"


def test_nothing_but_the_reward_tells_the_goal(play):
    """Lifetimes with other goals, and the same actions up to a cell, show the same of it."""
    shown = {}
    goals = set()
    for goal, *_, next_state, next_timestep in play(environment_of("paper"), 0):
        goals.add(int(goal))
        seen = shown.setdefault(int(next_state.agent), next_timestep.observation)
        np.testing.assert_array_equal(seen, next_timestep.observation)
    assert len(goals) > 1
    assert len({observation.tobytes() for observation in shown.values()}) == len(shown)


def test_a_config_of_no_room_is_told():
    with pytest.raises(InputError, match=r"environment\.width"):
        DarkRoom(9, 0, 20)
