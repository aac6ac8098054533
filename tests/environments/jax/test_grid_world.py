"""The grid-world of hearts and traps, against plain rules and a plain map of the grid."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.config.schema import GridWorldConfig
from podmeta.environments.jax.grid import NOWHERE
from podmeta.environments.jax.grid_world import GridWorld, GridWorldState, GridWorldTask
from podmeta.errors import InputError

CONFIGS = {
    "default": GridWorldConfig(),
    "narrow torus": GridWorldConfig(height=2, width=5, view="neighbours_8", rewards="random"),
    "walled": GridWorldConfig(border="wall", num_inner_walls=4, rewards="swapped", episode_length=7),
    "window": GridWorldConfig(
        height=3, width=6, border="wall", view="egocentric", view_radius=2, respawn_probability=0.3
    ),
    "window on a torus": GridWorldConfig(view="egocentric", num_inner_walls=2, rewards="random_sign"),
    "full": GridWorldConfig(view="full", border="wall", rewards="random_sign", episode_length=13),
    "full with walls": GridWorldConfig(
        height=5, view="full", num_inner_walls=5, num_hearts=5, num_traps=1, respawn_probability=0.05
    ),
    "no way back": GridWorldConfig(respawn_probability=0.0, num_hearts=0, episode_length=30, rewards="random"),
    "no room": GridWorldConfig(height=3, width=3, num_hearts=4, num_traps=2, num_inner_walls=1, episode_length=9),
}
OFFSETS = {
    "neighbours_4": [(-1, 0), (1, 0), (0, -1), (0, 1)],
    "neighbours_8": [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)],
}
environment_of = functools.cache(lambda name: GridWorld(CONFIGS[name]))


def slow_view(config, task, state):
    """The observation, read off a map of the grid that holds a set of names per cell."""
    beyond = {"wall"} if config.border == "wall" else set()
    held = {(row, column): set() for row in range(config.height) for column in range(config.width)}
    kinds = ["heart"] * config.num_hearts + ["trap"] * config.num_traps
    for cell, kind in [*zip(state.objects, kinds, strict=True), *((wall, "wall") for wall in task.walls)]:
        if cell != NOWHERE:
            held[divmod(int(cell), config.width)].add(kind)
    agent = divmod(int(state.agent), config.width)
    held[agent].add("agent")

    def look(row, column):
        if config.border == "torus":
            row, column = row % config.height, column % config.width
        return held.get((row, column), beyond)

    blocks = ["heart", "trap"]
    if config.num_inner_walls or (config.border == "wall" and config.view != "full"):
        blocks.append("wall")
    if config.view == "full":
        blocks.insert(0, "agent")
        cells = list(held.values())
    else:
        radius = config.view_radius
        window = [(r, c) for r in range(-radius, radius + 1) for c in range(-radius, radius + 1)]
        cells = [look(agent[0] + r, agent[1] + c) for r, c in OFFSETS.get(config.view, window)]
    return np.array([block in cell for block in blocks for cell in cells], np.float32)


def slow_move(config, task, cell, action):
    row, column = np.add(divmod(int(cell), config.width), OFFSETS["neighbours_4"][action])
    if config.border == "torus":
        row, column = row % config.height, column % config.width
    elif not (0 <= row < config.height and 0 <= column < config.width):
        return cell
    target = row * config.width + column
    return cell if target in task.walls else target


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGS)
@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=2)
def test_every_step_follows_the_rules(play, name, seed):
    config, environment = CONFIGS[name], environment_of(name)
    kinds = np.array([0] * config.num_hearts + [1] * config.num_traps)
    for task, state, timestep, action, next_state, next_timestep in play(environment, seed):
        on_grid = next_state.objects[next_state.objects != NOWHERE]
        standing = [*on_grid, next_state.agent, *task.walls]
        assert len(set(standing)) == len(standing), "two things on one cell"
        assert set(standing) <= set(range(config.height * config.width))
        np.testing.assert_array_equal(next_timestep.observation, slow_view(config, task, next_state))

        if timestep.last():
            assert next_timestep.first()
            assert next_state.steps == 0
            assert on_grid.size == kinds.size
            continue
        assert next_state.agent == slow_move(config, task, state.agent, action)
        taken = state.objects == next_state.agent
        assert next_timestep.reward == np.float32(task.rewards[kinds[taken]].sum())
        stayed_away = ~taken & (state.objects != NOWHERE)
        np.testing.assert_array_equal(next_state.objects[stayed_away], state.objects[stayed_away])
        if config.respawn_probability == 1:
            assert on_grid.size == kinds.size
        if config.respawn_probability == 0:
            assert np.all(next_state.objects[~stayed_away] == NOWHERE)
        assert next_state.steps == state.steps + 1
        assert next_timestep.discount == 1
        assert next_timestep.last() == (config.episode_length == next_state.steps)


def test_the_rules_were_put_to_use(play):
    """Without these, the checks above could pass over most of the rules."""
    taken, blocked, reappeared, ended = 0, 0, 0, 0
    for name in CONFIGS:
        for _, state, timestep, _, next_state, next_timestep in play(environment_of(name), 0):
            taken += next_timestep.reward != 0
            blocked += state.agent == next_state.agent
            reappeared += np.any((state.objects == NOWHERE) & (next_state.objects != NOWHERE)) and not timestep.last()
            ended += timestep.last()
    assert min(taken, blocked, reappeared, ended) > 50


def test_rewards_by_their_names():
    def rewards(name):
        keys = jax.random.split(jax.random.key(0), 2000)
        return np.asarray(jax.vmap(GridWorld(GridWorldConfig(rewards=name)).sample_task)(keys).rewards)

    assert np.all(rewards("fixed") == [1, -1])
    assert np.all(rewards("swapped") == [-1, 1])
    either = rewards("random_sign")
    assert set(map(tuple, either)) == {(1, -1), (-1, 1)}
    assert abs(either[:, 0].mean()) < 0.1
    drawn = rewards("random")
    assert -1 <= drawn.min() < -0.99 and 0.99 < drawn.max() < 1
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.07)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(2) / 3, atol=0.04)


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_objects_reappear_as_often_as_they_should(step_many_times, assert_frequency, probability):
    environment = GridWorld(GridWorldConfig(num_hearts=2, num_traps=0, respawn_probability=probability))
    task = GridWorldTask(jnp.array([1.0, -1.0]), jnp.zeros(0, jnp.int32))
    away = NOWHERE if probability < 1 else 10
    state = GridWorldState(jnp.array(0), jnp.array([1, away]), jnp.array(0))
    states, timesteps = step_many_times(environment, task, state, 3)
    assert np.all(timesteps.reward == 1)
    just_taken = states.objects[:, 0]
    assert_frequency(just_taken != NOWHERE, probability)
    if probability < 1:
        assert_frequency(states.objects[:, 1] != NOWHERE, probability)
    if probability == 1:
        empty = [cell for cell in range(16) if cell not in (1, 10)]
        for cell in empty:
            assert_frequency(just_taken == cell, 1 / len(empty))


@pytest.mark.parametrize(
    "change",
    [
        {"border": "round"},
        {"view": "neighbours_6"},
        {"rewards": "none"},
        {"height": 0},
        {"num_traps": -1},
        {"episode_length": -1},
        {"respawn_probability": 1.5},
        {"respawn_probability": float("nan")},
        {"width": 1},
    ],
)
def test_a_config_that_makes_no_grid_world_is_told(change):
    with pytest.raises(InputError, match=rf"environment\..*{next(iter(change))}"):
        GridWorld(dataclasses.replace(GridWorldConfig(), **change))
