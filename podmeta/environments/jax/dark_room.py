"""The dark room: an invisible goal, in the same place for a whole lifetime.

After Laskin et al., "In-context Reinforcement Learning with Algorithm Distillation" (ICLR 2023, arXiv 2210.14215),
section 4: a room of 9 x 9 cells, episodes of 20 steps that start in the centre, and a reward of 1 at each step on the
goal.
"""

from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from podmeta.environments.base import Action, restart, transition
from podmeta.environments.jax.grid import MOVES_AND_STAY, move, position_one_hot
from podmeta.environments.jax.room import Room


class DarkRoomState(NamedTuple):
    """Where an episode stands.

    Attributes:
      agent: [] the agent's cell.
      steps: [] steps taken in this episode.
    """

    agent: Int[Array, ""]
    steps: Int[Array, ""]


class DarkRoom(Room[Int[Array, ""], DarkRoomState]):
    """A goal on any cell of a room, drawn per lifetime. The task is its cell, row * width + column.

    The agent moves up, down, left or right or stays, and a wall stops it. A step that ends on the goal pays 1, and any
    other nothing, so the best policy goes to the goal and stays. The observation is the agent's row, one-hot, then its
    column, one-hot: nothing shows the goal, or how much of the episode is left. So a learner has to search, and to
    remember where it was paid.

    `episode_length` truncates an episode. The step after its last one is the reset, so an episode takes
    episode_length + 1 env steps of a lifetime.

    The reward of the next step is known here, but it is no measure of an action's regret, because an action counts for
    what follows it. So `expected_rewards` says nothing, as in other environments with a state.
    """

    @property
    def start(self) -> int:
        """The cell where every episode starts: the centre, or the cell below and right of it in an even room."""
        return self.grid.height // 2 * self.grid.width + self.grid.width // 2

    @property
    def num_tasks(self) -> int:
        """Every cell may be the goal."""
        return self.grid.num_cells

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
