"""Cells, moves and random empty cells, against plain loops over a map of the grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.environments.jax.grid import MOVES, NOWHERE, OUTSIDE, Grid, contains, draw_cells, move, neighbours

NUM_CELLS = 12
draw_cells_compiled = jax.jit(draw_cells)


@st.composite
def drawings(draw):
    """Some cells occupied (the rest of the array at NOWHERE), and as many wanted as still fit."""
    occupied = draw(st.lists(st.integers(0, NUM_CELLS - 1), unique=True, max_size=8))
    num_empty = NUM_CELLS - len(occupied)
    wanted = draw(st.lists(st.booleans(), min_size=5, max_size=5).filter(lambda w: sum(w) <= num_empty))
    uniforms = draw(st.lists(st.floats(0, 1 - 2**-23, width=32), min_size=5, max_size=5))
    padded = draw(st.permutations(occupied + [NOWHERE] * (8 - len(occupied))))
    return np.float32(uniforms), np.array(wanted), np.int32(padded), num_empty


@given(drawings())
@settings(max_examples=200)
def test_cells_are_drawn_from_the_list_of_empty_ones(drawing):
    uniforms, wanted, occupied, num_empty = drawing
    empty = [cell for cell in range(NUM_CELLS) if cell not in occupied]
    expected = [
        empty.pop(int(np.floor(np.float32(uniform) * np.float32(len(empty))))) if is_wanted else NOWHERE
        for uniform, is_wanted in zip(uniforms, wanted, strict=True)
    ]
    np.testing.assert_array_equal(draw_cells_compiled(uniforms, wanted, occupied, num_empty), expected)


@pytest.mark.parametrize("num_cells", [1, 3, 7, 100, 1023, 4097])
def test_the_largest_uniform_draw_stays_on_the_grid(num_cells):
    largest = jnp.array([1 - 2**-23], jnp.float32)
    drawn = draw_cells(largest, jnp.ones(1, bool), jnp.full(1, NOWHERE), num_cells)
    assert drawn[0] == num_cells - 1


def test_no_cells_can_be_drawn():
    assert draw_cells(jnp.zeros(0), jnp.zeros(0, bool), jnp.arange(3), 5).shape == (0,)


grids = st.builds(Grid, st.integers(1, 5), st.integers(1, 5), st.booleans())


@given(grids, st.data())
@settings(max_examples=30)
def test_neighbours_and_moves_follow_the_map(grid, data):
    cell = data.draw(st.integers(0, grid.num_cells - 1))
    walls = data.draw(st.lists(st.integers(0, grid.num_cells - 1).filter(lambda wall: wall != cell), max_size=3))
    offset = data.draw(st.tuples(st.integers(-6, 6), st.integers(-6, 6)))
    the_map = np.arange(grid.num_cells).reshape(grid.height, grid.width)
    row, column = cell // grid.width + offset[0], cell % grid.width + offset[1]
    on_the_map = 0 <= row < grid.height and 0 <= column < grid.width
    expected = the_map[row % grid.height, column % grid.width] if grid.torus or on_the_map else OUTSIDE

    assert neighbours(grid, jnp.array(cell), np.array([offset]))[0] == expected
    moved = move(grid, jnp.array(cell), jnp.array(offset), jnp.array(walls, jnp.int32))
    assert moved == (cell if expected == OUTSIDE or expected in walls else expected)


def test_four_moves_around_a_square_lead_back():
    grid, cell = Grid(3, 3, torus=False), jnp.array(4)
    up, down, left, right = MOVES
    for offset, expected in ((up, 1), (left, 0), (down, 3), (right, 4)):
        cell = move(grid, cell, jnp.asarray(offset), jnp.zeros(0, jnp.int32))
        assert cell == expected


def test_contains_ignores_objects_that_are_nowhere():
    held = contains(jnp.array([2, NOWHERE, 0]), jnp.array([0, 1, 2, OUTSIDE]))
    np.testing.assert_array_equal(held, [True, False, True, False])
