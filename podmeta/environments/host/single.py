"""One environment that steps in Python. Batches of them are made in inline.py and processes.py."""

import abc
from typing import Any

import dm_env

from podmeta.environments.host.arrays import ObservationSpec


class SingleEnvironment(abc.ABC):
    """One environment that follows dm_env's contract, and can begin a lifetime.

    Observations and actions are the source's own; the batch encodes them.
    """

    @abc.abstractmethod
    def observation_spec(self) -> ObservationSpec:
        """What it shows: a dm_env spec, or a dictionary or tuple of them."""

    @abc.abstractmethod
    def action_spec(self) -> Any:
        """The dm_env spec of what it takes."""

    @abc.abstractmethod
    def begin_lifetime(self, seed: int) -> dm_env.TimeStep:
        """Draws a task and all that is random later from `seed`, and starts an episode."""

    @abc.abstractmethod
    def step(self, action: Any) -> dm_env.TimeStep:
        """Advances the episode. After a LAST time step, ignores `action` and starts the next episode."""

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of what the environment holds."""
