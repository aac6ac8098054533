"""LPG's object grid-worlds, against plain rules."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.environments.jax.grid import NOWHERE
from podmeta.environments.jax.object_grid_world import (
    MODES,
    ObjectGridWorld,
    ObjectGridWorldState,
    ObjectGridWorldTask,
)
from podmeta.errors import InputError

environment_of = functools.cache(ObjectGridWorld)
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]


def objects_of(mode):
    return [(index, kind) for index, kind in enumerate(mode.kinds) for _ in range(kind.number)]


def slow_view(mode, positions, state):
    num_cells = len(mode.layout) * len(mode.layout[0])
    observation = [float(cell == state.agent) for cell in range(num_cells)]
    if positions == "task":
        return np.array(observation + [float(cell != NOWHERE) for cell in state.objects])
    for kind in range(len(mode.kinds)):
        held = {int(cell) for cell, (index, _) in zip(state.objects, objects_of(mode), strict=True) if index == kind}
        observation += [float(cell in held) for cell in range(num_cells)]
    return np.array(observation)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "positions"),
    [*((name, "task") for name in MODES), ("sparse", "episode"), ("longer", "episode"), ("long_dense", "episode")],
)
@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=2)
def test_every_step_follows_the_rules(play, name, positions, seed):
    mode, environment = MODES[name], environment_of(name, positions)
    objects = objects_of(mode)
    width = len(mode.layout[0])
    walls = [row * width + column for row, line in enumerate(mode.layout) for column, c in enumerate(line) if c == "#"]
    for task, state, timestep, action, next_state, next_timestep in play(environment, seed, num_steps=120):
        on_grid = next_state.objects[next_state.objects != NOWHERE]
        assert len({*on_grid, *walls}) == on_grid.size + len(walls)
        assert next_state.agent not in walls
        np.testing.assert_array_equal(next_timestep.observation, slow_view(mode, positions, next_state))
        if positions == "task":
            assert np.all((next_state.objects == task.homes) | (next_state.objects == NOWHERE))
        else:
            assert next_state.agent not in on_grid

        if timestep.last():
            assert next_timestep.first()
            assert on_grid.size == len(objects)
            assert (next_state.agent == task.start) or positions == "episode"
            continue
        row, column = np.add(divmod(int(state.agent), width), MOVES[action])
        inside = 0 <= row < len(mode.layout) and 0 <= column < width
        free = inside and mode.layout[row][column] == "."
        assert next_state.agent == (row * width + column if free else state.agent)
        taken = state.objects == next_state.agent
        kinds_taken = [kind for (_, kind), is_taken in zip(objects, taken, strict=True) if is_taken]
        assert next_timestep.reward == sum(kind.reward for kind in kinds_taken)
        assert np.all(next_state.objects[taken] == NOWHERE), "taken and there again at once"
        untouched = ~taken & (state.objects != NOWHERE)
        np.testing.assert_array_equal(next_state.objects[untouched], state.objects[untouched])
        terminated = next_timestep.discount == 0
        chances = [kind.termination_probability for kind in kinds_taken]
        assert any(chances) if terminated else 1 not in chances
        assert next_timestep.last() == (terminated or next_state.steps == mode.episode_length)


def test_an_episode_in_which_nothing_is_taken_is_truncated(play):
    """Termination and truncation both occur where every object terminates, and their discounts differ."""
    length = MODES["sparse"].episode_length
    last = [
        (int(next_state.steps), next_timestep.discount, next_timestep.reward)
        for *_, next_state, next_timestep in play(environment_of("sparse", "task"), 0, 32, 120)
        if next_timestep.last()
    ]
    truncations = [(steps, reward) for steps, discount, reward in last if discount == 1]
    terminations = [(steps, reward) for steps, discount, reward in last if discount == 0]
    assert truncations and all(item == (length, 0) for item in truncations)
    assert terminations and all(steps <= length and reward in (1, -1) for steps, reward in terminations)


@pytest.mark.parametrize("name", ["dense", "longer"])
def test_objects_terminate_and_reappear_as_often_as_their_kind_says(step_many_times, assert_frequency, name):
    environment = environment_of(name, "task")
    kinds = [kind for _, kind in objects_of(MODES[name])]
    homes = jnp.arange(1, len(kinds) * 2, 2)
    assert all(MODES[name].layout[0][cell] == "." for cell in range(4))
    task = ObjectGridWorldTask(jnp.array(0), homes)

    first_is_next = ObjectGridWorldState(jnp.array(0), homes, jnp.array(0))
    _, timesteps = step_many_times(environment, task, first_is_next, 3)
    assert np.all(timesteps.reward == kinds[0].reward)
    assert_frequency(timesteps.discount == 0, kinds[0].termination_probability)

    last_is_next = ObjectGridWorldState(jnp.array(0), jnp.roll(homes, 1), jnp.array(0))
    _, timesteps = step_many_times(environment, task._replace(homes=jnp.roll(homes, 1)), last_is_next, 3)
    # Rolled, the object at cell 1 is the second one.
    assert np.all(timesteps.reward == kinds[1].reward)
    assert_frequency(timesteps.discount == 0, kinds[1].termination_probability)

    all_taken = ObjectGridWorldState(jnp.array(0), jnp.full(len(kinds), NOWHERE), jnp.array(0))
    states, _ = step_many_times(environment, task, all_taken, 4)
    for index, kind in enumerate(kinds):
        assert_frequency(states.objects[:, index] == homes[index], kind.respawn_probability)


@pytest.mark.parametrize("name", MODES)
def test_every_free_cell_can_be_reached(name):
    layout = MODES[name].layout
    assert len({len(row) for row in layout}) == 1
    free = {(row, column) for row, line in enumerate(layout) for column, c in enumerate(line) if c == "."}
    reached, frontier = set(), {min(free)}
    while frontier:
        reached |= frontier
        steps = {(row + r, column + c) for row, column in frontier for r, c in MOVES}
        frontier = (steps & free) - reached
    assert reached == free


def test_a_config_of_no_object_grid_world_is_told():
    with pytest.raises(InputError, match=r"environment\.mode"):
        ObjectGridWorld("denser", "task")
    with pytest.raises(InputError, match=r"environment\.positions"):
        ObjectGridWorld("dense", "lifetime")
