"""One Gymnasium environment as a `dm_env.Environment`."""

from typing import Any

import dm_env
import gymnasium
from dm_env import specs

from podmeta.environments.bridge.foreign_specs import ObservationSpec
from podmeta.environments.bridge.spaces import action_spec_of, observation_spec_of
from podmeta.environments.contract import ContractError, number, shown
from podmeta.value_types import AnyArray

GymnasiumEnvironment = gymnasium.Env[Any, Any]
"""An environment, whatever it shows and takes."""


def from_gymnasium(environment: GymnasiumEnvironment, seed: int) -> "GymnasiumAsDmEnv":
    """A Gymnasium environment with dm_env's interface, for `Agent.step`.

    Args:
      environment: the environment.
      seed: of all episodes.

    Raises:
      InputError: podmeta does not support its observation or action space.
    """
    return GymnasiumAsDmEnv(environment, seed, str(environment))


class GymnasiumAsDmEnv(dm_env.Environment):
    """See `from_gymnasium`. A truncated episode ends with discount 1, one that terminated (too) with discount 0.

    Args:
      environment: the environment.
      seed: of all episodes.
      name: what messages call it.
    """

    def __init__(self, environment: GymnasiumEnvironment, seed: int, name: str) -> None:
        self._environment = environment
        self._observation_spec = observation_spec_of(environment.observation_space, name)
        self._action_spec = action_spec_of(environment.action_space, name)
        space = environment.action_space
        self._first_action = space.start if isinstance(space, gymnasium.spaces.Discrete) else None
        self._next_seed: int | None = seed
        self._episode_under_way = False

    def reset(self) -> dm_env.TimeStep:
        """Starts an episode.

        Raises:
          ContractError: the environment does not answer as Gymnasium says.
        """
        answer = self._environment.reset(seed=self._next_seed)
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], dict):
            raise ContractError(f"returned {shown(answer)} from reset, but Gymnasium requires (observation, info)")
        observation, _ = answer
        self._next_seed = None  # Gymnasium's generator goes on from the first seed
        self._episode_under_way = True
        return dm_env.restart(observation)

    def reseed(self, seed: int) -> None:
        """Seeds the next reset, and all random draws after it."""
        self._next_seed = seed

    def step(self, action: AnyArray) -> dm_env.TimeStep:
        """Advances the episode, or starts one (ignoring `action`) where none is under way.

        Raises:
          ContractError: the environment does not answer as Gymnasium says.
        """
        if not self._episode_under_way:
            return self.reset()
        action = action if self._first_action is None else self._first_action + action
        answer = self._environment.step(action)
        if not isinstance(answer, tuple) or len(answer) != 5:
            raise ContractError(
                f"returned {shown(answer)} from step, but Gymnasium requires (observation, reward, terminated, "
                "truncated, info)"
            )
        observation, reward, terminated, truncated, _ = answer
        terminated, truncated = _truth("terminated", terminated), _truth("truncated", truncated)
        self._episode_under_way = not (terminated or truncated)
        reward = reward if type(reward) is float else number("reward", reward)
        if terminated:
            return dm_env.termination(reward, observation)
        if truncated:
            return dm_env.truncation(reward, observation)
        return dm_env.transition(reward, observation)

    def observation_spec(self) -> ObservationSpec:
        """A dm_env spec, or a dictionary or tuple of them."""
        return self._observation_spec

    def action_spec(self) -> specs.BoundedArray:
        """A `DiscreteArray`, or a `BoundedArray` of floats."""
        return self._action_spec

    @property
    def unwrapped(self) -> GymnasiumEnvironment:
        """The environment inside all its wrappers."""
        return self._environment.unwrapped

    def close(self) -> None:
        """Closes the inner environment."""
        self._environment.close()


def _truth(what: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    if number(what, value) not in (0.0, 1.0):
        raise ContractError(f"gave {shown(value)} as its {what}, but Gymnasium requires True or False")
    return bool(value)
