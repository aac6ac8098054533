"""The comparator of the dark room: a fixed sweep until the goal is found, then the shortest path to it.

Nothing is learned of the goal before the first reward but where it is not, so until then the best policy is a fixed
sequence of moves, and from then on it is the shortest path. What is left is to choose the sweep. A goal found at step
t of episode e, at distance d from the start, earns so much in E episodes of L steps:

    (L - t + 1) + (E - e) (L - max(d, 1) + 1)

`best_sweep` maximises the sum of it over all goals by beam search. No order of cells can earn more than an assignment
of cells to steps that ignores how the agent gets from one to the next. In a room of 9 x 9, for 10 episodes of 20 steps,
the sweep earns 133.95 on average over all goals, and the assignment 135.49, so it is within 1.2% of the best.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from podmeta.config.schema import DarkRoomConfig, EnvironmentConfig
from podmeta.environments.jax.dark_room import DarkRoom
from podmeta.environments.jax.grid import MOVES_AND_STAY
from podmeta.environments.transforms.order import transforms_of
from podmeta.inner_loop import InnerLoop, environment_specs, place_learner
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, MetaParams
from podmeta.learners.policies import make_policy

SWEEP = "sweep"
"""What its rows call it."""

_UP, _DOWN, _LEFT, _RIGHT, _STAY = range(len(MOVES_AND_STAY))
_BEAM_WIDTH = 200
_CERTAIN = 1e9  # a logit that leaves the other actions no chance


class SweepState(NamedTuple):
    """The state of a lifetime.

    Attributes:
      goal: [] the goal's cell; -1 until it is found.
      episode: [] episodes before this one.
      step: [] steps taken in this one.
    """

    goal: Int[Array, ""]
    episode: Int[Array, ""]
    step: Int[Array, ""]


def is_dark_room(environment_config: EnvironmentConfig) -> bool:
    """Whether the sweep can be compared there: a dark room without transforms."""
    return isinstance(environment_config, DarkRoomConfig) and not any(True for _ in transforms_of(environment_config))


def sweep_inner_loop(environment_config: EnvironmentConfig) -> InnerLoop:
    """The sweep in an environment of which `is_dark_room` holds. It has no θ."""
    assert isinstance(environment_config, DarkRoomConfig)
    policy = make_policy(environment_specs(environment_config)[1])
    room, num_episodes = _room_and_episodes(environment_config)
    learner = make_sweep(room, best_sweep(room.grid.height, room.grid.width, room.episode_length, num_episodes))
    return place_learner(learner, policy, environment_config)


def make_sweep(room: DarkRoom, sweep: Int[np.ndarray, "num_episodes episode_length"]) -> Learner:
    """The policy that follows a sweep until it is paid, and then goes to where it was paid and stays.

    After the last episode of the sweep it stays where it is.
    """
    height, width = room.grid.height, room.grid.width

    def step(
        meta_params: MetaParams, state: SweepState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, SweepState]:
        del meta_params
        starts = learner_input.episode_start > 0
        row, column = (jnp.argmax(part) for part in jnp.split(learner_input.observation, [height]))
        state = SweepState(
            goal=jnp.where(learner_input.reward > 0, row * width + column, state.goal).astype(jnp.int32),
            episode=state.episode + starts,
            step=jnp.where(starts, 0, state.step + 1),
        )
        planned = jnp.asarray(sweep).at[state.episode, state.step].get(mode="fill", fill_value=_STAY)
        goal_row, goal_column = state.goal // width, state.goal % width
        towards = jnp.where(goal_column < column, _LEFT, jnp.where(goal_column > column, _RIGHT, _STAY))
        towards = jnp.where(goal_row < row, _UP, jnp.where(goal_row > row, _DOWN, towards))
        action = jnp.where(state.goal >= 0, towards, planned)
        logits = jnp.where(jnp.arange(len(MOVES_AND_STAY)) == action, 0.0, -_CERTAIN)
        return LearnerOutput(logits[:, None], jnp.zeros(())), state

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> SweepState:
        del meta_params, key
        return SweepState(jnp.int32(-1), jnp.int32(-1), jnp.int32(0))

    return Learner(lambda key: None, initial_state, step)


def sweep_lifetime_rewards(config: DarkRoomConfig) -> Float[np.ndarray, "num_cells"]:
    """What the sweep earns in a lifetime for each goal, without playing it; its mean is the comparator's exact figure.

    A lifetime that ends within an episode is counted as if that episode went on.
    """
    room, num_episodes = _room_and_episodes(config)
    sweep = best_sweep(room.grid.height, room.grid.width, room.episode_length, num_episodes)
    earned, cells = np.zeros(room.grid.num_cells), _next_cells(room)
    worth = goal_worth(room, num_episodes)
    for episode, actions in enumerate(sweep):
        cell = room.start
        for step, action in enumerate(actions):
            cell = cells[cell, action]
            if earned[cell] == 0:
                earned[cell] = worth[episode, step, cell]
    return earned


@functools.cache
def best_sweep(
    height: int, width: int, episode_length: int, num_episodes: int
) -> Int[np.ndarray, "num_episodes episode_length"]:
    """The actions of the best sweep that a beam search finds.

    A beam holds sequences of actions of the same length, and keeps those with the highest sum of what the goals found
    so far earn and what each other goal would earn if the next episode went straight to it.
    """
    room = DarkRoom(height, width, episode_length)
    cells, worth = _next_cells(room), goal_worth(room, num_episodes)
    hashes = np.random.default_rng(0).integers(2**62, size=(2, room.grid.num_cells))
    beam = _Beam(
        position=np.array([room.start]),
        found=np.zeros((1, room.grid.num_cells), bool),
        earned=np.zeros(1),
        actions=np.zeros((1, 0), np.int32),
    )
    straight = np.minimum(np.maximum(distances(room), 1), episode_length) - 1
    for episode in range(num_episodes):
        beam = beam._replace(position=np.full(len(beam.position), room.start))
        later = np.zeros(room.grid.num_cells)
        if episode + 1 < num_episodes:
            later = worth[episode + 1, straight, np.arange(room.grid.num_cells)]
        for step in range(episode_length):
            beam = _extended(beam, cells, worth[episode, step], later, hashes)
    return beam.actions[np.argmax(beam.earned)].reshape(num_episodes, episode_length)


class _Beam(NamedTuple):
    """Sequences of actions. [size, ...] each.

    Attributes:
      position: the agent's cell after it.
      found: the cells that it has been on.
      earned: the sum over those goals of what they earn in the lifetime.
      actions: the actions.
    """

    position: Int[np.ndarray, "size"]
    found: Bool[np.ndarray, "size num_cells"]
    earned: Float[np.ndarray, "size"]
    actions: Int[np.ndarray, "size num_actions"]


def _extended(
    beam: _Beam,
    cells: Int[np.ndarray, "num_cells 5"],
    worth: Float[np.ndarray, "num_cells"],
    later: Float[np.ndarray, "num_cells"],
    hashes: Int[np.ndarray, "2 num_cells"],
) -> _Beam:
    """The best sequences of one action more: a goal found by it earns `worth`, and one not found yet `later`."""
    parent = np.repeat(np.arange(len(beam.position)), cells.shape[1])
    position = cells[beam.position].reshape(-1)
    is_new = ~beam.found[parent, position]
    found = beam.found[parent]
    found[np.arange(len(parent)), position] = True
    earned = beam.earned[parent] + is_new * worth[position]
    # Of those that have been on the same cells and stand on the same one, the first of the best goes on.
    order = np.argsort(-(earned - found @ later), kind="stable")
    state = (found[order] @ hashes[0]) ^ hashes[1][position[order]]
    kept = order[np.sort(np.unique(state, return_index=True)[1])[:_BEAM_WIDTH]]
    actions = np.tile(np.arange(cells.shape[1], dtype=np.int32), len(beam.position))
    longer = np.concatenate([beam.actions[parent[kept]], actions[kept, None]], axis=1)
    return _Beam(position[kept], found[kept], earned[kept], longer)


def goal_worth(room: DarkRoom, num_episodes: int) -> Float[np.ndarray, "num_episodes episode_length num_cells"]:
    """What a goal earns in the lifetime if it is found at a step of an episode, both counted from 0."""
    steps_left = room.episode_length - np.arange(room.episode_length)[None, :, None]
    episodes_left = num_episodes - 1 - np.arange(num_episodes)[:, None, None]
    steps_there = np.maximum(room.episode_length + 1 - np.maximum(distances(room), 1), 0)
    return (steps_left + episodes_left * steps_there).astype(float)


def distances(room: DarkRoom) -> Int[np.ndarray, "num_cells"]:
    """The steps from the start to each cell."""
    rows, columns = np.divmod(np.arange(room.grid.num_cells), room.grid.width)
    start_row, start_column = divmod(room.start, room.grid.width)
    return np.abs(rows - start_row) + np.abs(columns - start_column)


def _next_cells(room: DarkRoom) -> Int[np.ndarray, "num_cells 5"]:
    """The cell that each action leads to from each cell."""
    rows, columns = np.divmod(np.arange(room.grid.num_cells)[:, None], room.grid.width)
    rows = np.clip(rows + MOVES_AND_STAY[:, 0], 0, room.grid.height - 1)
    columns = np.clip(columns + MOVES_AND_STAY[:, 1], 0, room.grid.width - 1)
    return rows * room.grid.width + columns


def _room_and_episodes(config: DarkRoomConfig) -> tuple[DarkRoom, int]:
    """The room, and the episodes of a lifetime, the last of which may be cut short."""
    room = DarkRoom(config.height, config.width, config.episode_length)
    return room, -(-config.lifetime_length // (config.episode_length + 1))
