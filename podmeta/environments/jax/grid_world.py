"""Grid-worlds of hearts and traps, in which the task is the reward of each kind of object.

After the grid-world of Kirsch et al., "Introducing Symmetries to Black Box Meta Reinforcement Learning" (AAAI
2022): a learner that was only ever paid for hearts must find out within a lifetime that this time it is the
traps.
"""

import math
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray

from podmeta.config.schema import GridWorldConfig
from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.jax import rendering
from podmeta.environments.jax.grid import (
    MOVES,
    NOWHERE,
    OUTSIDE,
    Grid,
    contains,
    draw_cells,
    move,
    neighbours,
)
from podmeta.errors import InputError

BORDERS = ("torus", "wall")
REWARDS = ("fixed", "swapped", "random_sign", "random")
VIEWS = ("neighbours_4", "neighbours_8", "egocentric", "full")
HEART, TRAP = 0, 1


class GridWorldTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      rewards: [2] the reward for taking a heart and for taking a trap.
      walls: [num_inner_walls] the cells of the inner walls.
    """

    rewards: Float[Array, "2"]
    walls: Int[Array, "num_inner_walls"]


class GridWorldState(NamedTuple):
    """Where an episode stands.

    Attributes:
      agent: [] the agent's cell.
      objects: [num_hearts + num_traps] the cells of the hearts, then of the traps; `NOWHERE` for one that was
        taken and has not reappeared.
      steps: [] steps taken in this episode.
    """

    agent: Int[Array, ""]
    objects: Int[Array, "num_objects"]
    steps: Int[Array, ""]


class GridWorld(Environment[GridWorldTask, GridWorldState]):
    """Hearts and traps on a grid; an agent that moves up, down, left or right and takes what it steps on.

    An episode starts with the agent and all objects on random empty cells. Taking an object pays the task's
    reward for its kind. From then on it reappears with `respawn_probability` per step on a random empty cell,
    at 1 at once. Inner walls are drawn per lifetime wherever they fall, so they may cut off a corner. An
    episode is only ever truncated.

    The observation is a vector of zeros and ones: one block for each kind (hearts; traps; walls, if the grid
    has any that can be seen), which says for every cell of the view whether it holds that kind. The views are

    - `neighbours_4`: the cells up, down, left and right of the agent;
    - `neighbours_8`: the eight cells around it, row by row;
    - `egocentric`: the window of `view_radius` around it, row by row;
    - `full`: all cells of the grid, row by row, and in front of the kinds a block for the agent.

    Beyond a border everything is wall. Across the joined edges of a torus the view wraps around.

    Args:
      config: its config.

    Raises:
      InputError: a value does not exist, or the grid is too small for what is to stand on it.
    """

    def __init__(self, config: GridWorldConfig):
        _check(config)
        self._config = config
        self._grid = Grid(config.height, config.width, torus=config.border == "torus")
        self._num_objects = config.num_hearts + config.num_traps
        self._kinds = np.array([HEART] * config.num_hearts + [TRAP] * config.num_traps, np.int32)
        self._offsets = _view_offsets(config)
        border_is_seen = config.border == "wall" and config.view != "full"
        self._walls_are_seen = border_is_seen or config.num_inner_walls > 0

    @property
    def episodes_end(self) -> bool:
        """Only where `episode_length` truncates it."""
        return self._config.episode_length > 0

    @property
    def num_tasks(self) -> float:
        """Ways to place the inner walls, times the pairs of rewards."""
        num_rewards = {"fixed": 1, "swapped": 1, "random_sign": 2, "random": math.inf}[self._config.rewards]
        return math.comb(self._grid.num_cells, self._config.num_inner_walls) * num_rewards

    def observation_spec(self) -> specs.BoundedArray:
        """[num_blocks * num_view_cells], zeros and ones."""
        if self._config.view == "full":
            num_blocks, num_view_cells = 3 + self._walls_are_seen, self._grid.num_cells
        else:
            num_blocks, num_view_cells = 2 + self._walls_are_seen, len(self._offsets)
        return specs.BoundedArray((num_blocks * num_view_cells,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """Up, down, left, right."""
        return specs.DiscreteArray(len(MOVES), name="action")

    def sample_task(self, key: PRNGKeyArray) -> GridWorldTask:
        """Draws what hearts and traps are worth, and the inner walls."""
        rewards_key, walls_key = jax.random.split(key)
        num_walls = self._config.num_inner_walls
        walls = draw_cells(
            jax.random.uniform(walls_key, (num_walls,)),
            wanted=jnp.ones(num_walls, bool),
            occupied=jnp.zeros(0, jnp.int32),
            num_empty=self._grid.num_cells,
        )
        return GridWorldTask(self._draw_rewards(rewards_key), walls)

    def reset(self, key: PRNGKeyArray, task: GridWorldTask) -> tuple[GridWorldState, dm_env.TimeStep]:
        """Starts an episode with the agent and all objects on random cells."""
        num_cells_wanted = 1 + self._num_objects
        cells = draw_cells(
            jax.random.uniform(key, (num_cells_wanted,)),
            wanted=jnp.ones(num_cells_wanted, bool),
            occupied=task.walls,
            num_empty=self._grid.num_cells - self._config.num_inner_walls,
        )
        state = GridWorldState(agent=cells[0], objects=cells[1:], steps=jnp.int32(0))
        return state, restart(self._observe(task, state))

    def step(
        self, key: PRNGKeyArray, task: GridWorldTask, state: GridWorldState, action: Action
    ) -> tuple[GridWorldState, dm_env.TimeStep]:
        """Moves the agent, pays for what it takes, and lets objects reappear."""
        agent = move(self._grid, state.agent, jnp.asarray(MOVES)[action], task.walls)
        taken = state.objects == agent
        reward = jnp.sum(jnp.where(taken, task.rewards[self._kinds], 0.0))
        remaining = jnp.where(taken, NOWHERE, state.objects)
        objects = self._let_reappear(key, task, agent, remaining)
        steps = state.steps + 1
        length = self._config.episode_length
        truncated = steps == length if length else False
        state = GridWorldState(agent, objects, steps)
        return state, transition(reward, self._observe(task, state), truncated=truncated)

    def glyphs(self, task: GridWorldTask, state: GridWorldState) -> np.ndarray:
        """[height, width] what each cell holds, for `rendering`; a border of walls stands around it."""
        glyphs = rendering.glyph_map(
            self._grid.height,
            self._grid.width,
            agent=int(state.agent),
            walls=np.asarray(task.walls),
            objects=np.asarray(state.objects),
            object_glyphs=[(rendering.HEART, rendering.TRAP)[kind] for kind in self._kinds],
        )
        return glyphs if self._grid.torus else np.pad(glyphs, 1, constant_values=rendering.WALL)

    def _draw_rewards(self, key: PRNGKeyArray) -> Float[Array, "2"]:
        if self._config.rewards == "random":
            return jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)
        heart_and_trap = jnp.array([1.0, -1.0])
        if self._config.rewards == "random_sign":
            return heart_and_trap * jax.random.rademacher(key, (), jnp.float32)
        return heart_and_trap if self._config.rewards == "fixed" else -heart_and_trap

    def _let_reappear(
        self,
        key: PRNGKeyArray,
        task: GridWorldTask,
        agent: Int[Array, ""],
        objects: Int[Array, "num_objects"],
    ) -> Int[Array, "num_objects"]:
        absent = objects == NOWHERE
        occupied = jnp.concatenate([agent[None], task.walls, objects])
        num_empty = self._grid.num_cells - 1 - self._config.num_inner_walls - jnp.sum(~absent)
        if self._config.respawn_probability == 1.0:
            # No object stays away, so at most one, the one just taken, needs a cell.
            cell = draw_cells(jax.random.uniform(key, (1,)), jnp.ones(1, bool), occupied, num_empty)
            return jnp.where(absent, cell, objects)
        whether, where = jax.random.uniform(key, (2, self._num_objects))
        reappears = absent & (whether < self._config.respawn_probability)
        return jnp.where(reappears, draw_cells(where, reappears, occupied, num_empty), objects)

    def _observe(self, task: GridWorldTask, state: GridWorldState) -> Float[Array, "num_observations"]:
        hearts, traps = jnp.split(state.objects, [self._config.num_hearts])
        if self._config.view == "full":
            cells = jnp.arange(self._grid.num_cells)
            blocks = [cells == state.agent]
        else:
            cells = neighbours(self._grid, state.agent, self._offsets)
            blocks = []
        blocks += [contains(hearts, cells), contains(traps, cells)]
        if self._walls_are_seen:
            blocks.append(contains(task.walls, cells) | (cells == OUTSIDE))
        return jnp.concatenate(blocks).astype(jnp.float32)


def _view_offsets(config: GridWorldConfig) -> np.ndarray:
    """[num_view_cells, 2] the cells of a view centred on the agent, as rows and columns from it."""
    if config.view == "neighbours_4":
        return MOVES
    radius = config.view_radius if config.view == "egocentric" else 1
    span = np.arange(-radius, radius + 1, dtype=np.int32)
    window = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    return window[np.any(window != 0, axis=1)] if config.view == "neighbours_8" else window


def _check(config: GridWorldConfig) -> None:
    """Raises an `InputError` for a config that makes no grid-world."""
    for name, choice, choices in (
        ("border", config.border, BORDERS),
        ("rewards", config.rewards, REWARDS),
        ("view", config.view, VIEWS),
    ):
        if choice not in choices:
            raise InputError(f"environment.{name} is {choice!r}: choose one of {', '.join(choices)}")
    for name, value, lowest in (
        ("height", config.height, 1),
        ("width", config.width, 1),
        ("num_hearts", config.num_hearts, 0),
        ("num_traps", config.num_traps, 0),
        ("num_inner_walls", config.num_inner_walls, 0),
        ("view_radius", config.view_radius, 0),
        ("episode_length", config.episode_length, 0),
    ):
        if value < lowest:
            raise InputError(f"environment.{name} is {value}: make it {lowest} or more")
    if not 0.0 <= config.respawn_probability <= 1.0 or math.isnan(config.respawn_probability):
        raise InputError(f"environment.respawn_probability is {config.respawn_probability}: choose from 0 to 1")
    needed = 2 + config.num_hearts + config.num_traps + config.num_inner_walls
    if config.height * config.width < needed:
        raise InputError(
            f"environment.height times width is {config.height * config.width} cells, but the agent, the "
            f"objects, the walls and one empty cell take {needed}: make the grid larger, or lower "
            "environment.num_hearts, num_traps or num_inner_walls"
        )
