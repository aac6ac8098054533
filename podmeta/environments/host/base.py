"""The interface that every batch of host environments follows.

Episode ends follow the contract of podmeta/environments/base.py, row by row: a LAST time step has discount 0 if the
episode terminated (even if it was also truncated) and 1 if it was only truncated. The step after it ignores its action
and returns a FIRST time step with reward 0 and discount 1; this reset is an env step.
"""

import abc
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, Float, Int, Shaped, UInt32

from podmeta.errors import PodmetaError
from podmeta.value_types import AnyArray

Actions = Int[np.ndarray, "B"] | Float[np.ndarray, "B num_actions"]


class CompiledStep(NamedTuple):
    """Functions with which a program that is compiled for the CPU steps a batch of JAX arrays.

    Attributes:
      step: (time step [B, ...], actions) -> the next time step [B, ...], called by the program.
      has_stepped: (number of steps, last time step [B, ...] in NumPy) -> None, called from Python after the program. It
        raises a PodmetaError if an environment failed in the last step.
    """

    step: Callable[[dm_env.TimeStep, AnyArray], dm_env.TimeStep]
    has_stepped: Callable[[int, dm_env.TimeStep], None]


class HostEnvironment(abc.ABC):
    """A batch of B environments on the host. One thread at a time may use it; any thread may close it.

    A `dm_env.TimeStep` of the batch holds step_type int32 [B], reward float32 [B], discount float32 [B] and
    observation [B, ...]. Its arrays are never written to again, so they can be sent to a device without a copy.

    Attributes:
      name: its name in messages, such as "envpool CartPole-v1".
      num_environments: B.
    """

    def __init__(self, name: str, num_environments: int):
        self.name = name
        self.num_environments = num_environments

    @abc.abstractmethod
    def observation_spec(self) -> specs.Array:
        """Of one environment: dtype float32, or uint8 for images and memory. Discrete observations are one-hot."""

    @abc.abstractmethod
    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """Of one environment: a `DiscreteArray`, or a `BoundedArray` float32 [num_actions]."""

    @abc.abstractmethod
    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Begins a lifetime, with a task drawn from the seed and a new episode, in every environment of `starts`.

        The others do not change. The first call must start all.

        Returns:
          The current time step of the whole batch.

        Raises:
          PodmetaError: an environment failed; the message names it.
        """

    @abc.abstractmethod
    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Advances every environment by one env step.

        Raises:
          PodmetaError: an environment failed; the message names it.
        """

    def compiled_step(self) -> CompiledStep | None:
        """`step` for a compiled program; None if there is none.

        It steps the current environments: after a `reset` that starts all of them, it must not be called again.
        """
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Releases the resources of the environments. A step in progress in another thread fails or is abandoned."""

    def __enter__(self) -> "HostEnvironment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except PodmetaError:
            if error is None:  # otherwise the first error says what went wrong
                raise


class HostWrapper(HostEnvironment):
    """Forwards everything to the inner batch; each wrapper overrides what it changes.

    Args:
      environment: the batch inside.
    """

    def __init__(self, environment: HostEnvironment):
        super().__init__(environment.name, environment.num_environments)
        self._environment = environment

    def observation_spec(self) -> specs.Array:
        """As inside."""
        return self._environment.observation_spec()

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """As inside."""
        return self._environment.action_spec()

    def inner_actions(self, actions: Actions) -> Shaped[np.ndarray, "B ..."]:
        """The actions that the batch inside takes for `actions`."""
        return actions

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """The time step shown for a `timestep` of the batch inside, whose arrays it leaves as they are."""
        return timestep

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Begins lifetimes inside."""
        return self.outer_timestep(self._environment.reset(starts, seeds))

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Steps the batch inside."""
        return self.outer_timestep(self._environment.step(self.inner_actions(actions)))

    def close(self) -> None:
        """Closes the batch inside."""
        self._environment.close()
