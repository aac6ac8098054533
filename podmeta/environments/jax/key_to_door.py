"""Dark key-to-door: an invisible key and an invisible door, in the same places for a whole lifetime.

After Laskin et al., "In-context Reinforcement Learning with Algorithm Distillation" (ICLR 2023, arXiv 2210.14215),
section 4: a room of 9 x 9 cells, episodes of 50 steps that start anywhere, a reward of 1 for the key and of 1 for the
door. Grigsby et al., "AMAGO" (ICLR 2024, arXiv 2310.09971), have the same task with lifetimes of 500 steps, in which
the door ends the episode and the agent sees whether it has the key. Here it is as in the first paper.
"""

from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from podmeta.environments.base import Action, restart, transition
from podmeta.environments.jax.grid import MOVES_AND_STAY, move, position_one_hot
from podmeta.environments.jax.room import Room


class KeyToDoorTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      key: [] the key's cell.
      door: [] the door's cell, which may be the same.
    """

    key: Int[Array, ""]
    door: Int[Array, ""]


class KeyToDoorState(NamedTuple):
    """Where an episode stands.

    Attributes:
      agent: [] the agent's cell.
      has_key: [] whether it has taken the key.
      is_open: [] whether it has opened the door.
      steps: [] steps taken in this episode.
    """

    agent: Int[Array, ""]
    has_key: Bool[Array, ""]
    is_open: Bool[Array, ""]
    steps: Int[Array, ""]


class KeyToDoor(Room[KeyToDoorTask, KeyToDoorState]):
    """A key and a door on any two cells of a room, drawn per lifetime.

    The agent moves up, down, left or right or stays, and a wall stops it. The first step of an episode that ends on the
    key's cell takes the key and pays 1. The first one after that which ends on the door's cell opens the door and pays
    1. Nothing else pays, so an episode's return is at most 2. The observation is the agent's row, one-hot, then its
    column, one-hot; whether the agent has the key shows in the reward alone.

    `episode_length` truncates an episode, and nothing else ends it. The step after its last one is the reset, so an
    episode takes episode_length + 1 env steps of a lifetime. Every episode starts on a cell drawn anew.
    """

    @property
    def num_tasks(self) -> int:
        """Every cell for the key, times every cell for the door."""
        return self.grid.num_cells**2

    def sample_task(self, key: PRNGKeyArray) -> KeyToDoorTask:
        """Draws where the key and the door are."""
        return KeyToDoorTask(*jax.random.randint(key, (2,), 0, self.grid.num_cells))

    def reset(self, key: PRNGKeyArray, task: KeyToDoorTask) -> tuple[KeyToDoorState, dm_env.TimeStep]:
        """Starts an episode on any cell, without the key and with the door closed."""
        del task
        agent = jax.random.randint(key, (), 0, self.grid.num_cells)
        state = KeyToDoorState(agent, jnp.zeros((), bool), jnp.zeros((), bool), jnp.int32(0))
        return state, restart(position_one_hot(self.grid, agent))

    def step(
        self, key: PRNGKeyArray, task: KeyToDoorTask, state: KeyToDoorState, action: Action
    ) -> tuple[KeyToDoorState, dm_env.TimeStep]:
        """Moves the agent, and pays for the key, or for the door once it has the key."""
        del key
        agent = move(self.grid, state.agent, jnp.asarray(MOVES_AND_STAY)[action])
        takes_key = (agent == task.key) & ~state.has_key
        opens = (agent == task.door) & state.has_key & ~state.is_open
        steps = state.steps + 1
        after = KeyToDoorState(agent, state.has_key | takes_key, state.is_open | opens, steps)
        observation = position_one_hot(self.grid, agent)
        return after, transition(takes_key | opens, observation, truncated=steps == self.episode_length)
