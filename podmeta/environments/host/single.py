"""One environment that steps in Python. Batches of them are made in inline.py and processes.py."""

from collections.abc import Callable

import dm_env

from podmeta.environments.bridge.foreign_specs import ActionSpec, ObservationSpec
from podmeta.value_types import AnyArray


class SingleEnvironment:
    """A `dm_env.Environment`, and how it begins a lifetime. Observations and actions are its own; a batch encodes them.

    Args:
      environment: the environment.
      for_lifetime: (the environment so far, seed) -> the environment of the next lifetime, which may be the same.
    """

    def __init__(
        self,
        environment: dm_env.Environment,
        for_lifetime: Callable[[dm_env.Environment, int], dm_env.Environment],
    ):
        self._environment = environment
        self._for_lifetime = for_lifetime

    @property
    def core(self) -> object:
        """The environment, out of Gymnasium's wrappers: the same object stands for the same episodes."""
        return getattr(self._environment, "unwrapped", self._environment)

    def observation_spec(self) -> ObservationSpec:
        """What it shows: a dm_env spec, or a dictionary or tuple of them."""
        return self._environment.observation_spec()

    def action_spec(self) -> ActionSpec:
        """The dm_env spec of what it takes."""
        return self._environment.action_spec()

    def begin_lifetime(self, seed: int) -> object:
        """Takes the environment of the next lifetime, and starts an episode. What it returns may be no time step."""
        self._environment = self._for_lifetime(self._environment, seed)
        return self._environment.reset()

    def step(self, action: AnyArray) -> object:
        """Steps the environment, which by dm_env's contract starts the next episode after a LAST time step.

        What it returns may be no time step.
        """
        return self._environment.step(action)

    def close(self) -> None:
        """Lets go of what the environment holds."""
        self._environment.close()
