"""What the dark rooms share: a grid between walls, moves, and an observation that shows the agent's cell alone."""

from dm_env import specs

from podmeta.environments.base import Environment, EnvironmentState, Task
from podmeta.environments.jax.grid import MOVES_AND_STAY, Grid
from podmeta.errors import InputError


class Room(Environment[Task, EnvironmentState]):
    """A room without its task. The agent moves up, down, left or right or stays, and walls stop it.

    Args:
      height: rows, at least 1.
      width: columns, at least 1.
      episode_length: steps in an episode, at least 1.

    Raises:
      InputError: one of them is too small.
    """

    def __init__(self, height: int, width: int, episode_length: int):
        for name, value in (("height", height), ("width", width), ("episode_length", episode_length)):
            if value < 1:
                raise InputError(f"environment.{name} is {value}: make it 1 or more")
        self.grid = Grid(height, width, torus=False)
        self.episode_length = episode_length

    def observation_spec(self) -> specs.BoundedArray:
        """[height + width], the agent's row, one-hot, then its column, one-hot."""
        return specs.BoundedArray((self.grid.height + self.grid.width,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """Up, down, left, right, stay."""
        return specs.DiscreteArray(len(MOVES_AND_STAY), name="action")
