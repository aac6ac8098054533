"""A single Python environment. inline.py and processes.py make batches of them."""

import contextlib
from collections.abc import Callable

import dm_env

from podmeta.environments.bridge.foreign_specs import ActionSpec, ObservationSpec
from podmeta.exits import ExitsRaise
from podmeta.value_types import AnyArray


class SingleEnvironment:
    """A `dm_env.Environment` that can begin lifetimes. Observations and actions are not encoded; batches do that.

    Args:
      environment: the environment.
      for_lifetime: (current environment, seed) -> the environment of the next lifetime, which may be the same.
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
        """The environment without Gymnasium's wrappers. The same object means the same episodes."""
        return getattr(self._environment, "unwrapped", self._environment)

    def observation_spec(self) -> ObservationSpec:
        """The spec of its observations: a dm_env spec, or a dictionary or tuple of them."""
        return self._environment.observation_spec()

    def action_spec(self) -> ActionSpec:
        """The dm_env spec of its actions."""
        return self._environment.action_spec()

    def begin_lifetime(self, seed: int) -> object:
        """Switches to the next lifetime's environment, and starts an episode. The result may not be a time step."""
        self._environment = self._for_lifetime(self._environment, seed)
        return self._environment.reset()

    def step(self, action: AnyArray) -> object:
        """Steps the environment, which by dm_env's contract starts the next episode after a LAST time step.

        The result may not be a time step.
        """
        return self._environment.step(action)

    def close(self) -> None:
        """Releases the environment's resources."""
        self._environment.close()


def close_quietly(environment: object) -> None:
    """Closes what was made, after an error that says what went wrong. It may be anything that a factory returns."""
    with contextlib.suppress(Exception, SystemExit), ExitsRaise():
        close = getattr(environment, "close", None)
        if callable(close):
            close()
