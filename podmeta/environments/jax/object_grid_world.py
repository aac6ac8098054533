"""The object grid-worlds of LPG, where the task is where things are.

From Oh et al., "Discovering Reinforcement Learning Algorithms" (NeurIPS 2020), with the numbers of objects,
rewards, probabilities and walls that Jackson et al., "Discovering General Reinforcement Learning Algorithms
with Adversarial Environment Design" (NeurIPS 2023), evaluate on.
"""

import math
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.jax import rendering
from podmeta.environments.jax.grid import MOVES_AND_STAY, NOWHERE, Grid, contains, draw_cells, move
from podmeta.errors import InputError


class ObjectKind(NamedTuple):
    """Objects of one kind.

    Attributes:
      number: how many of them there are.
      reward: what taking one pays.
      termination_probability: the probability that taking one terminates the episode.
      respawn_probability: the probability, per step, that one which was taken reappears.
    """

    number: int
    reward: float
    termination_probability: float
    respawn_probability: float


class Mode(NamedTuple):
    """One object grid-world.

    Attributes:
      layout: the rows of the grid, `#` for a wall and `.` for a free cell.
      episode_length: steps after which an episode is truncated.
      kinds: the objects on it.
    """

    layout: tuple[str, ...]
    episode_length: int
    kinds: tuple[ObjectKind, ...]


TWO_ROOMS = (
    "....#....",
    ".........",
    "....#....",
    "....#....",
    "....#....",
    "....#....",
    "....#....",
    ".........",
    "....#....",
)

FOUR_ROOMS = (
    "...........",
    ".....#.....",
    ".....#.....",
    ".....#.....",
    "##.#####.##",
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
    ".....#.....",
    ".....#.....",
)


def _empty(size: int) -> tuple[str, ...]:
    return ("." * size,) * size


MODES = {
    "dense": Mode(
        _empty(11),
        500,
        (ObjectKind(2, 1.0, 0.0, 0.05), ObjectKind(1, -1.0, 0.5, 0.1), ObjectKind(1, -1.0, 0.0, 0.5)),
    ),
    "sparse": Mode(_empty(13), 50, (ObjectKind(1, 1.0, 1.0, 0.0), ObjectKind(1, -1.0, 1.0, 0.0))),
    "long": Mode(_empty(11), 1000, (ObjectKind(2, 1.0, 0.0, 0.01), ObjectKind(2, -1.0, 0.5, 1.0))),
    "longer": Mode(TWO_ROOMS, 2000, (ObjectKind(2, 1.0, 0.1, 0.01), ObjectKind(3, -1.0, 0.8, 1.0))),
    "long_dense": Mode(FOUR_ROOMS, 2000, (ObjectKind(4, 1.0, 0.0, 0.005),)),
}
"""The five object grid-worlds by name."""


class ObjectGridWorldTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      start: [] the cell where the agent starts every episode.
      homes: [num_objects] the cell of each object.
    """

    start: Int[Array, ""]
    homes: Int[Array, "num_objects"]


class ObjectGridWorldState(NamedTuple):
    """Where an episode stands.

    Attributes:
      agent: [] the agent's cell.
      objects: [num_objects] the cell of each object; `NOWHERE` for one that was taken and has not reappeared.
      steps: [] steps taken in this episode.
    """

    agent: Int[Array, ""]
    objects: Int[Array, "num_objects"]
    steps: Int[Array, ""]


class ObjectGridWorld(Environment[ObjectGridWorldTask, ObjectGridWorldState]):
    """Objects that pay, may terminate the episode when they are taken, and may reappear later.

    The agent moves up, down, left or right or stays, inside a border, and takes the object of the cell it is
    then on. An object that was taken stays away for one step at least; after that it reappears with its
    kind's probability per step. An object's termination is a termination (discount 0); the end of
    `episode_length` is a truncation.

    Positions and observations go together, as in the paper's tabular and random grid-worlds:

    - `positions` task: the agent's start and the objects' cells are drawn once per task, and an object
      reappears where it was. The observation is the agent's cell, one-hot, then for each object whether it is
      there: [num_cells + num_objects]. This says as much as the paper's one-hot index of the joint state, in
      far fewer components.
    - `positions` episode: they are drawn for every episode, and an object reappears on a random empty cell.
      The observation is the agent's cell, one-hot, then for each kind whether it is on each cell: [num_cells
      * (1 + num_kinds)].

    Args:
      mode: dense, sparse, long, longer or long_dense (see `MODES`).
      positions: task or episode.

    Raises:
      InputError: there is no such mode, or no such choice of positions.
    """

    def __init__(self, mode: str, positions: str):
        if mode not in MODES:
            raise InputError(f"environment.mode is {mode!r}: choose one of {', '.join(MODES)}")
        if positions not in ("task", "episode"):
            raise InputError(f"environment.positions is {positions!r}: choose task or episode")
        layout, self._episode_length, kinds = MODES[mode]
        self._positions_are_the_task = positions == "task"
        self._grid = Grid(len(layout), len(layout[0]), torus=False)
        self._walls = np.flatnonzero([cell == "#" for row in layout for cell in row]).astype(np.int32)
        self._kind_sizes = [kind.number for kind in kinds]
        self._num_objects = sum(self._kind_sizes)
        per_object = [kind for kind in kinds for _ in range(kind.number)]
        self._rewards = np.array([kind.reward for kind in per_object], np.float32)
        self._terminations = np.array([kind.termination_probability for kind in per_object], np.float32)
        self._respawns = np.array([kind.respawn_probability for kind in per_object], np.float32)

    @property
    def num_tasks(self) -> int:
        """Ways to place the agent and, one after the other, the objects, if that is the task; else 1."""
        num_free_cells = self._grid.num_cells - len(self._walls)
        return math.perm(num_free_cells, 1 + self._num_objects) if self._positions_are_the_task else 1

    def observation_spec(self) -> specs.BoundedArray:
        """[num_cells + num_objects] or [num_cells * (1 + num_kinds)], by `positions`: zeros and ones."""
        num_cells = self._grid.num_cells
        size = (
            num_cells + self._num_objects if self._positions_are_the_task else num_cells * (1 + len(self._kind_sizes))
        )
        return specs.BoundedArray((size,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """Up, down, left, right, stay."""
        return specs.DiscreteArray(len(MOVES_AND_STAY), name="action")

    def sample_task(self, key: PRNGKeyArray) -> ObjectGridWorldTask:
        """Draws where the agent starts and where the objects are."""
        return self._draw_positions(key)

    def reset(self, key: PRNGKeyArray, task: ObjectGridWorldTask) -> tuple[ObjectGridWorldState, dm_env.TimeStep]:
        """Starts an episode with all objects in place."""
        start, homes = task if self._positions_are_the_task else self._draw_positions(key)
        state = ObjectGridWorldState(start, homes, jnp.int32(0))
        return state, restart(self._observe(state))

    def step(
        self, key: PRNGKeyArray, task: ObjectGridWorldTask, state: ObjectGridWorldState, action: Action
    ) -> tuple[ObjectGridWorldState, dm_env.TimeStep]:
        """Moves the agent, pays for what it takes, and lets objects reappear."""
        ends, whether, where = jnp.split(
            jax.random.uniform(key, (1 + 2 * self._num_objects,)), [1, 1 + self._num_objects]
        )
        agent = move(self._grid, state.agent, jnp.asarray(MOVES_AND_STAY)[action], jnp.asarray(self._walls))
        taken = state.objects == agent
        reward = jnp.sum(jnp.where(taken, self._rewards, 0.0))
        terminated = ends[0] < jnp.sum(jnp.where(taken, self._terminations, 0.0))
        reappears = (state.objects == NOWHERE) & (whether < self._respawns)
        remaining = jnp.where(taken, NOWHERE, state.objects)
        cells = task.homes if self._positions_are_the_task else self._find_cells(where, reappears, agent, remaining)
        steps = state.steps + 1
        state = ObjectGridWorldState(agent, jnp.where(reappears, cells, remaining), steps)
        truncated = steps == self._episode_length
        return state, transition(reward, self._observe(state), terminated, truncated)

    def glyphs(self, task: ObjectGridWorldTask, state: ObjectGridWorldState) -> np.ndarray:
        """[height + 2, width + 2] what each cell holds, for `rendering`, with the border around it."""
        del task
        glyphs = rendering.glyph_map(
            self._grid.height,
            self._grid.width,
            agent=int(state.agent),
            walls=self._walls,
            objects=np.asarray(state.objects),
            object_glyphs=self._object_glyphs(),
        )
        return np.pad(glyphs, 1, constant_values=rendering.WALL)

    def _object_glyphs(self) -> list[str]:
        """A glyph for each object: a heart where it pays; where it costs, one that tells of termination."""
        return [
            rendering.HEART if reward > 0 else rendering.FATAL_TRAP if termination > 0 else rendering.TRAP
            for reward, termination in zip(self._rewards, self._terminations, strict=True)
        ]

    def _draw_positions(self, key: PRNGKeyArray) -> ObjectGridWorldTask:
        num_cells_wanted = 1 + self._num_objects
        cells = draw_cells(
            jax.random.uniform(key, (num_cells_wanted,)),
            wanted=jnp.ones(num_cells_wanted, bool),
            occupied=jnp.asarray(self._walls),
            num_empty=self._grid.num_cells - len(self._walls),
        )
        return ObjectGridWorldTask(start=cells[0], homes=cells[1:])

    def _find_cells(
        self,
        uniforms: Float[Array, "num_objects"],
        wanted: Bool[Array, "num_objects"],
        agent: Int[Array, ""],
        objects: Int[Array, "num_objects"],
    ) -> Int[Array, "num_objects"]:
        occupied = jnp.concatenate([agent[None], jnp.asarray(self._walls), objects])
        num_empty = self._grid.num_cells - 1 - len(self._walls) - jnp.sum(objects != NOWHERE)
        return draw_cells(uniforms, wanted, occupied, num_empty)

    def _observe(self, state: ObjectGridWorldState) -> Float[Array, "num_observations"]:
        cells = jnp.arange(self._grid.num_cells)
        blocks = [cells == state.agent]
        if self._positions_are_the_task:
            blocks.append(state.objects != NOWHERE)
        else:
            kinds = jnp.split(state.objects, np.cumsum(self._kind_sizes)[:-1])
            blocks += [contains(objects, cells) for objects in kinds]
        return jnp.concatenate(blocks).astype(jnp.float32)
