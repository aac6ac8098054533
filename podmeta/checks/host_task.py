"""The host environment of `podmeta check sebulba`: it needs no other package, and makes the same draws anywhere."""

import dm_env
import numpy as np
from dm_env import specs

_NUM_ACTIONS = 3
_EPISODE_LENGTH = 10


class CueTask(dm_env.Environment):
    """Shows a random one-hot cue, and pays 1 for the action that the task assigns to it.

    Args:
      seed: draws the assignment and the cues.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._right_actions = self._random.permutation(_NUM_ACTIONS)
        self._cue = 0
        self._step = 0

    def reset(self) -> dm_env.TimeStep:
        """Begins an episode."""
        self._step = 0
        return dm_env.restart(self._next_cue())

    def step(self, action: int | np.integer) -> dm_env.TimeStep:
        """Pays for the action, and shows the next cue."""
        if self._step == _EPISODE_LENGTH:
            return self.reset()
        reward = float(self._right_actions[self._cue] == action)
        self._step += 1
        if self._step == _EPISODE_LENGTH:
            return dm_env.termination(reward, self._next_cue())
        return dm_env.transition(reward, self._next_cue())

    def observation_spec(self) -> specs.Array:
        """The cue, one-hot."""
        return specs.Array((_NUM_ACTIONS,), np.float32)

    def action_spec(self) -> specs.DiscreteArray:
        """One action for each cue."""
        return specs.DiscreteArray(_NUM_ACTIONS)

    def _next_cue(self) -> np.ndarray:
        self._cue = int(self._random.integers(_NUM_ACTIONS))
        return np.eye(_NUM_ACTIONS, dtype=np.float32)[self._cue]


def make_task(seed: int) -> CueTask:
    """The environment of a lifetime."""
    return CueTask(seed)
