"""Pictures of grid-worlds show what is there."""

import jax
import numpy as np
import pytest

from podmeta.config.schema import GridWorldConfig
from podmeta.environments.jax import rendering
from podmeta.environments.jax.grid import NOWHERE
from podmeta.environments.jax.grid_world import GridWorld
from podmeta.environments.jax.object_grid_world import MODES, ObjectGridWorld
from podmeta.environments.jax.rendering import AGENT, EMPTY, FATAL_TRAP, HEART, TRAP, WALL

ALL_GLYPHS = [EMPTY, WALL, AGENT, HEART, TRAP, FATAL_TRAP]


def test_a_grid_is_laid_out_row_by_row():
    glyphs = rendering.glyph_map(
        2, 3, agent=4, walls=np.array([2]), objects=np.array([0, NOWHERE, 3]), object_glyphs=[HEART, HEART, TRAP]
    )
    assert ["".join(row) for row in glyphs] == ["♥·█", "×@·"]


@pytest.mark.parametrize("border", ["torus", "wall"])
def test_a_grid_world_shows_all_that_stands_on_it(border):
    environment = GridWorld(GridWorldConfig(height=5, width=6, num_hearts=2, border=border, num_inner_walls=4))
    task = jax.jit(environment.sample_task)(jax.random.key(0))
    state, _ = jax.jit(environment.reset)(jax.random.key(1), task)
    state = state._replace(objects=state.objects.at[0].set(NOWHERE))
    glyphs = environment.glyphs(task, state)
    inner = glyphs if border == "torus" else glyphs[1:-1, 1:-1]
    assert inner.shape == (5, 6)
    assert inner.ravel()[state.agent] == AGENT
    np.testing.assert_array_equal(np.flatnonzero(inner == HEART), state.objects[1:2])
    np.testing.assert_array_equal(np.flatnonzero(inner == TRAP), np.sort(state.objects[2:]))
    np.testing.assert_array_equal(np.flatnonzero(inner == WALL), np.sort(task.walls))
    num_border_cells = glyphs.size - inner.size
    assert np.sum(glyphs == WALL) == 4 + num_border_cells


@pytest.mark.parametrize("name", MODES)
def test_an_object_grid_world_shows_its_layout_and_objects(name):
    environment = ObjectGridWorld(name, "task")
    task = jax.jit(environment.sample_task)(jax.random.key(0))
    state, _ = jax.jit(environment.reset)(jax.random.key(1), task)
    glyphs = environment.glyphs(task, state)
    layout = np.array([list(row) for row in MODES[name].layout])
    np.testing.assert_array_equal(glyphs[1:-1, 1:-1] == WALL, layout == "#")
    assert np.sum(glyphs == HEART) == sum(kind.number for kind in MODES[name].kinds if kind.reward > 0)
    fatal = [kind.number for kind in MODES[name].kinds if kind.reward < 0 and kind.termination_probability > 0]
    assert np.sum(glyphs == FATAL_TRAP) == sum(fatal)


@pytest.mark.parametrize("pixels_per_cell", [8, 24])
def test_pixels_tell_all_glyphs_apart(pixels_per_cell):
    picture = rendering.render_pixels(np.array([ALL_GLYPHS, ALL_GLYPHS]), pixels_per_cell)
    assert picture.shape == (2 * pixels_per_cell, len(ALL_GLYPHS) * pixels_per_cell, 3)
    assert picture.dtype == np.uint8
    upper, lower = np.split(picture, 2)
    np.testing.assert_array_equal(upper, lower)
    tiles = np.split(upper, len(ALL_GLYPHS), axis=1)
    assert len({tile.tobytes() for tile in tiles}) == len(ALL_GLYPHS)
    middle = pixels_per_cell // 2
    assert len({tuple(tile[middle, middle]) for tile in tiles[1:]}) == len(ALL_GLYPHS) - 1
