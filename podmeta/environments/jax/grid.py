"""The common part of grid-worlds: cells, moves, and random draws of empty cells.

A cell is one integer, row * width + column. Objects are a short array of cells, not a map of the grid: a step
compares a handful of integers, whatever the size of the grid, and needs neither a scatter nor a sort. Two numbers are
not cells: an object that is not on the grid is at `NOWHERE`, and positions beyond a border are `OUTSIDE`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

NOWHERE = 2**30
OUTSIDE = -1

MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)
"""[4, 2] rows and columns moved by the actions up, down, left and right."""

MOVES_AND_STAY = np.concatenate([MOVES, np.zeros((1, 2), np.int32)])
"""[5, 2] rows and columns moved by the actions up, down, left, right and stay."""


class Grid(NamedTuple):
    """The shape of a grid.

    Attributes:
      height: rows.
      width: columns.
      torus: whether opposite edges are joined; if not, the border is a wall.
    """

    height: int
    width: int
    torus: bool

    @property
    def num_cells(self) -> int:
        """Cells of the grid, walls included."""
        return self.height * self.width


def neighbours(
    grid: Grid, cell: Int[Array, ""], offsets: np.ndarray | Int[Array, "num_offsets 2"]
) -> Int[Array, "num_offsets"]:
    """The cells at some offsets (rows, columns) from a cell; `OUTSIDE` where a border lies between."""
    rows = cell // grid.width + offsets[:, 0]
    columns = cell % grid.width + offsets[:, 1]
    if grid.torus:
        return (rows % grid.height) * grid.width + columns % grid.width
    inside = (rows >= 0) & (rows < grid.height) & (columns >= 0) & (columns < grid.width)
    return jnp.where(inside, rows * grid.width + columns, OUTSIDE)


def move(
    grid: Grid, cell: Int[Array, ""], offset: Int[Array, "2"], walls: Int[Array, "num_walls"] | None = None
) -> Int[Array, ""]:
    """The cell reached from `cell` by one move; `cell` itself if a wall or a border is in the way."""
    target = neighbours(grid, cell, offset[None])[0]
    blocked = target == OUTSIDE
    if walls is not None:
        blocked |= jnp.any(walls == target)
    return jnp.where(blocked, cell, target)


def position_one_hot(grid: Grid, cell: Int[Array, ""]) -> Float[Array, "height_and_width"]:
    """[height + width] the row of a cell, one-hot, then its column, one-hot."""
    row = jax.nn.one_hot(cell // grid.width, grid.height)
    return jnp.concatenate([row, jax.nn.one_hot(cell % grid.width, grid.width)])


def contains(objects: Int[Array, "num_objects"], cells: Int[Array, "num_cells"]) -> Bool[Array, "num_cells"]:
    """Whether each of `cells` holds one of `objects`."""
    return jnp.any(cells[:, None] == objects[None, :], axis=1)


def draw_cells(
    uniforms: Float[Array, "num_draws"],
    wanted: Bool[Array, "num_draws"],
    occupied: Int[Array, "num_occupied"],
    num_empty: int | Int[Array, ""],
) -> Int[Array, "num_draws"]:
    """Draws distinct cells, each uniform over those still empty.

    Neither rejection nor a map of the grid is needed. Give every occupied cell the number of empty cells
    before it. The empty cell of rank r then comes after just those occupied cells whose number is at most r,
    so it is r plus their count. Once it is occupied too, its own number is r, and the numbers above r fall by
    one.

    Args:
      uniforms: U[0, 1) draws, one per cell.
      wanted: which of the cells are needed. The others are returned as `NOWHERE` and take no place.
      occupied: distinct cells that must not be drawn; `NOWHERE` may stand in it any number of times.
      num_empty: the number of cells of the grid that are not in `occupied`, at least the number wanted.

    Returns:
      The drawn cells.
    """
    if uniforms.shape[0] == 0:
        return jnp.zeros(0, jnp.int32)
    # The barriers halve the time of a step: without them XLA repeats the random draws and this loop for every use.
    uniforms = jax.lax.optimization_barrier(uniforms)
    rank_among_occupied = jnp.sum(occupied[None, :] < occupied[:, None], axis=1)
    empty_before = occupied - rank_among_occupied
    num_empty = jnp.asarray(num_empty, jnp.int32)
    cells = []
    for draw in range(uniforms.shape[0]):
        rank = jnp.floor(uniforms[draw] * num_empty).astype(jnp.int32)
        cells.append(jnp.where(wanted[draw], rank + jnp.sum(empty_before <= rank), NOWHERE))
        empty_before = empty_before - (wanted[draw] & (empty_before > rank))
        empty_before = jnp.append(empty_before, jnp.where(wanted[draw], rank, NOWHERE))
        num_empty = num_empty - wanted[draw]
    return jax.lax.optimization_barrier(jnp.stack(cells))
