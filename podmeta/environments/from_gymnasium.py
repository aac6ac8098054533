"""One Gymnasium environment as a `dm_env.Environment`."""

from typing import Any

import dm_env
import gymnasium
import numpy as np
from dm_env import specs
from gymnasium import spaces

from podmeta.errors import InputError


def from_gymnasium(environment: gymnasium.Env, seed: int) -> "GymnasiumAsDmEnv":
    """A Gymnasium environment through dm_env's interface, which is what an agent's `step` takes and gives.

    Args:
      environment: with `Box` or `Discrete` observations and actions.
      seed: of all episodes.

    Raises:
      InputError: its observations or actions are of another kind of space.
    """
    return GymnasiumAsDmEnv(environment, seed)


class GymnasiumAsDmEnv(dm_env.Environment):
    """See `from_gymnasium`. A truncated episode ends with discount 1, a terminated one with discount 0."""

    def __init__(self, environment: gymnasium.Env, seed: int) -> None:
        self._environment = environment
        self._observation_space = _supported(
            environment.observation_space, "observations", "wrap it in gymnasium.wrappers.FlattenObservation"
        )
        self._action_space = _supported(environment.action_space, "actions", "wrap it so that it takes one array")
        self._next_seed: int | None = seed
        self._episode_under_way = False

    def reset(self) -> dm_env.TimeStep:
        """Starts an episode."""
        observation, _ = self._environment.reset(seed=self._next_seed)
        self._next_seed = None  # Gymnasium's generator goes on from the first seed
        self._episode_under_way = True
        return dm_env.restart(self._observed(observation))

    def step(self, action: Any) -> dm_env.TimeStep:
        """Advances the episode, or starts one (ignoring `action`) where none is under way."""
        if not self._episode_under_way:
            return self.reset()
        if isinstance(self._action_space, spaces.Discrete):
            action = int(action) + int(self._action_space.start)
        observation, reward, terminated, truncated, _ = self._environment.step(action)
        self._episode_under_way = not (terminated or truncated)
        observation, reward = self._observed(observation), float(reward)
        if terminated:
            return dm_env.termination(reward, observation)
        if truncated:
            return dm_env.truncation(reward, observation)
        return dm_env.transition(reward, observation)

    def observation_spec(self) -> specs.Array:
        """A `DiscreteArray` for a `Discrete` space, a `BoundedArray` for a `Box`."""
        return _spec(self._observation_space, "observation")

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """A `DiscreteArray` for a `Discrete` space, a `BoundedArray` for a `Box`."""
        return _spec(self._action_space, "action")

    def close(self) -> None:
        """Closes the environment inside."""
        self._environment.close()

    def _observed(self, observation: Any) -> np.ndarray:
        if isinstance(self._observation_space, spaces.Discrete):
            return np.asarray(observation - self._observation_space.start)
        return np.asarray(observation)


def _supported(space: spaces.Space, what: str, cure: str) -> spaces.Box | spaces.Discrete:
    if isinstance(space, spaces.Box | spaces.Discrete):
        return space
    raise InputError(
        f"this environment has {what} of a {type(space).__name__} space, and an agent needs Box or Discrete ones: "
        f"{cure}"
    )


def _spec(space: spaces.Box | spaces.Discrete, name: str) -> specs.DiscreteArray | specs.BoundedArray:
    if isinstance(space, spaces.Discrete):
        return specs.DiscreteArray(int(space.n), space.dtype, name)
    return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, name)
