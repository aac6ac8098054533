"""Gymnasium environments, one at a time.

Each is stepped by itself, without gymnasium's vector environments and their three ways to reset: so no episode's last
observation is lost, and the start of a lifetime can reset one environment with a seed and leave the others alone.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import dm_env
from dm_env import specs

from podmeta.environments.host.arrays import ObservationSpec
from podmeta.environments.host.imports import import_extra, near
from podmeta.environments.host.single import SingleEnvironment
from podmeta.errors import InputError


class GymnasiumEnvironment(SingleEnvironment):
    """Any environment that gymnasium has registered.

    Where it both terminates and truncates an episode, the episode terminated.

    Args:
      id: its gymnasium id. `my_module:MyEnvironment-v0` imports my_module, which registers it; `ALE/…` needs no module.
      options: arguments of `gymnasium.make`.

    Raises:
      InputError: gymnasium is not installed, or an argument does not fit.
    """

    def __init__(self, id: str, options: Mapping[str, Any]):
        name = f"gymnasium {id}"
        self._environment = _make(id, options)
        # Only now: it imports gymnasium.
        from podmeta.environments.host.spaces import action_spec_of, observation_spec_of

        self._observation_spec = observation_spec_of(self._environment.observation_space, name)
        self._action_spec = action_spec_of(self._environment.action_space, name)
        self._first_action = getattr(self._environment.action_space, "start", None)
        self._ended = False

    def observation_spec(self) -> ObservationSpec:
        """That of its space."""
        return self._observation_spec

    def action_spec(self) -> specs.BoundedArray:
        """That of its space."""
        return self._action_spec

    def begin_lifetime(self, seed: int) -> dm_env.TimeStep:
        """Seeds the environment and starts an episode."""
        return self._restart(seed)

    def step(self, action: Any) -> dm_env.TimeStep:
        """Steps the environment, or resets it where an episode has ended."""
        if self._ended:
            return self._restart(None)
        action = action if self._first_action is None else self._first_action + action
        observation, reward, terminated, truncated, _ = self._environment.step(action)
        self._ended = terminated or truncated
        if terminated:
            return dm_env.termination(reward, observation)
        return dm_env.truncation(reward, observation) if truncated else dm_env.transition(reward, observation)

    def close(self) -> None:
        """Closes it."""
        self._environment.close()

    def _restart(self, seed: int | None) -> dm_env.TimeStep:
        observation, _ = self._environment.reset(seed=seed)
        self._ended = False
        return dm_env.restart(observation)


def _make(id: str, options: Mapping[str, Any]) -> Any:
    gymnasium = import_extra("gymnasium", "gymnasium")
    if id.startswith("ALE/"):
        import_extra("ale_py", "gymnasium")  # importing it registers its environments
    module, _, name = id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        if name not in gymnasium.registry:
            raise InputError(
                f"environment.id: gymnasium has no {name!r}; {near(name, gymnasium.registry)} What a module of its own "
                "registers is written as my_module:MyEnvironment-v0"
            )
        return gymnasium.make(name, disable_env_checker=True, **options)
    except (ImportError, gymnasium.error.Error, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"environment.id: gymnasium cannot make {id!r} with the options {dict(options)}: {error}"
        ) from error
