"""The dark room: an invisible goal, in the same place for a whole lifetime.

After Laskin et al., "In-context Reinforcement Learning with Algorithm Distillation" (ICLR 2023, arXiv 2210.14215),
section 4: a room of 9 x 9 cells, episodes of 20 steps that start in the centre, and a reward of 1 at each step on the
goal.
"""

from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Int, PRNGKeyArray

from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.jax.grid import MOVES_AND_STAY, Grid, move, position_one_hot
from podmeta.errors import InputError


class DarkRoomState(NamedTuple):
    """Where an episode stands.

    Attributes:
      agent: [] the agent's cell.
      steps: [] steps taken in this episode.
    """

    agent: Int[Array, ""]
    steps: Int[Array, ""]


class DarkRoom(Environment[Int[Array, ""], DarkRoomState]):
    """A goal on any cell of a room, drawn per lifetime. The task is its cell, row * width + column.

    The agent moves up, down, left or right or stays, and a wall stops it. A step that ends on the goal pays 1, and any
    other nothing, so the best policy goes to the goal and stays. The observation is the agent's row, one-hot, then its
    column, one-hot: nothing shows the goal, or how much of the episode is left. So a learner has to search, and to
    remember where it was paid.

    `episode_length` truncates an episode. The step after its last one is the reset, so an episode takes
    episode_length + 1 env steps of a lifetime.

    The reward of the next step is known here, but it is no measure of an action's regret, because an action counts for
    what follows it. So `expected_rewards` says nothing, as in other environments with a state.

    Args:
      height: rows, at least 1.
      width: columns, at least 1.
      episode_length: steps in an episode, at least 1.

    Raises:
      InputError: one of them is too small.
    """

    def __init__(self, height: int, width: int, episode_length: int):
        check_room(height, width, episode_length)
        self.grid = Grid(height, width, torus=False)
        self.episode_length = episode_length

    @property
    def start(self) -> int:
        """The cell where every episode starts: the centre, or the cell below and right of it in an even room."""
        return self.grid.height // 2 * self.grid.width + self.grid.width // 2

    @property
    def num_tasks(self) -> int:
        """Every cell may be the goal."""
        return self.grid.num_cells

    def observation_spec(self) -> specs.BoundedArray:
        """[height + width], zeros and ones."""
        return specs.BoundedArray((self.grid.height + self.grid.width,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """Up, down, left, right, stay."""
        return specs.DiscreteArray(len(MOVES_AND_STAY), name="action")

    def sample_task(self, key: PRNGKeyArray) -> Int[Array, ""]:
        """Draws the goal."""
        return jax.random.randint(key, (), 0, self.grid.num_cells)

    def reset(self, key: PRNGKeyArray, task: Int[Array, ""]) -> tuple[DarkRoomState, dm_env.TimeStep]:
        """Starts an episode in the centre."""
        del key, task
        state = DarkRoomState(jnp.int32(self.start), jnp.int32(0))
        return state, restart(position_one_hot(self.grid, state.agent))

    def step(
        self, key: PRNGKeyArray, task: Int[Array, ""], state: DarkRoomState, action: Action
    ) -> tuple[DarkRoomState, dm_env.TimeStep]:
        """Moves the agent, and pays 1 where it is then on the goal."""
        del key
        agent = move(self.grid, state.agent, jnp.asarray(MOVES_AND_STAY)[action])
        steps = state.steps + 1
        observation = position_one_hot(self.grid, agent)
        return DarkRoomState(agent, steps), transition(
            agent == task, observation, truncated=steps == self.episode_length
        )


def check_room(height: int, width: int, episode_length: int) -> None:
    """Raises an `InputError` for sizes that make no room, or no episode."""
    for name, value in (("height", height), ("width", width), ("episode_length", episode_length)):
        if value < 1:
            raise InputError(f"environment.{name} is {value}: make it 1 or more")
