"""Pictures of grid-worlds. Pure functions of what each cell holds.

A grid-world describes its cells by a *glyph map*, an array [height, width] of single characters (its method `glyphs`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

EMPTY = "·"
WALL = "█"
AGENT = "@"
HEART = "♥"
TRAP = "×"
FATAL_TRAP = "▲"

BACKGROUND = (247, 245, 240)
GRID_LINE = (226, 222, 213)
SAMPLES_PER_PIXEL = 4


def glyph_map(
    height: int, width: int, agent: int, walls: np.ndarray, objects: np.ndarray, object_glyphs: Sequence[str]
) -> np.ndarray:
    """Lays a grid out as characters.

    Args:
      height: rows.
      width: columns.
      agent: the agent's cell, row * width + column.
      walls: [num_walls] cells of the walls.
      objects: [num_objects] cells of the objects; one beyond the grid's cells is not on it.
      object_glyphs: the glyph of each object.

    Returns:
      [height, width] one character per cell.
    """
    glyphs = np.full(height * width, EMPTY)
    glyphs[walls] = WALL
    for cell, glyph in zip(objects, object_glyphs, strict=True):
        if cell < glyphs.size:
            glyphs[cell] = glyph
    glyphs[agent] = AGENT
    return glyphs.reshape(height, width)


def render_pixels(glyphs: np.ndarray, pixels_per_cell: int = 24) -> UInt8[np.ndarray, "height width 3"]:
    """The grid as an RGB picture.

    Args:
      glyphs: [height, width] one character per cell.
      pixels_per_cell: the side of a cell.

    Returns:
      [height * pixels_per_cell, width * pixels_per_cell, 3] the picture.
    """
    tiles = {glyph: _tile(glyph, pixels_per_cell) for glyph in np.unique(glyphs)}
    return np.concatenate([np.concatenate([tiles[glyph] for glyph in row], axis=1) for row in glyphs], axis=0)


class _Sprite(NamedTuple):
    """How a glyph is painted: its colour, and which points of the cell ([-1, 1] right and up) it covers."""

    colour: tuple[int, int, int]
    covers: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = 1.65 * x, 1.65 * y + 0.1
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.abs(np.abs(x) - np.abs(y)) < 0.22) & (np.maximum(np.abs(x), np.abs(y)) < 0.62)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y > -0.6) & (2 * np.abs(x) + y < 0.75)


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x**2 + y**2 < 0.42


_SPRITES = {
    EMPTY: _Sprite(BACKGROUND, lambda x, y: np.zeros_like(x, bool)),
    WALL: _Sprite((92, 98, 112), lambda x, y: np.ones_like(x, bool)),
    AGENT: _Sprite((38, 98, 178), _disc),
    HEART: _Sprite((208, 50, 74), _heart),
    TRAP: _Sprite((118, 84, 148), _cross),
    FATAL_TRAP: _Sprite((40, 40, 48), _triangle),
}


def _tile(glyph: str, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """One cell's picture, its edges smoothed by averaging over the samples of each pixel."""
    sprite = _SPRITES[glyph]
    samples = size * SAMPLES_PER_PIXEL
    centres = (np.arange(samples) + 0.5) / samples * 2 - 1
    covered = sprite.covers(centres[None, :].repeat(samples, 0), -centres[:, None].repeat(samples, 1))
    coverage = covered.reshape(size, SAMPLES_PER_PIXEL, size, SAMPLES_PER_PIXEL).mean((1, 3))[..., None]
    tile = np.empty((size, size, 3))
    tile[:] = BACKGROUND
    tile[-1, :] = tile[:, -1] = GRID_LINE
    return np.rint(coverage * np.array(sprite.colour) + (1 - coverage) * tile).astype(np.uint8)
