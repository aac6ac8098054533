"""A batch of Python environments that step one after the other, in the calling thread."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, UInt32

from podmeta.environments.bridge.arrays import ActionDecoder, ObservationEncoder
from podmeta.environments.contract import (
    ContractError,
    FaultyEnvironmentError,
    check_distinct,
    checked_scalars,
    in_words,
    shown,
    trace_of,
)
from podmeta.environments.host.base import Actions, HostEnvironment
from podmeta.environments.host.single import SingleEnvironment, close_quietly
from podmeta.errors import InputError, PodmetaError
from podmeta.exits import ExitsRaise


class InlineEnvironments(HostEnvironment):
    """Steps its environments in a loop.

    Args:
      name: what messages call the batch.
      environments: the environments, of one kind.

    Attributes:
      encode: encodes their observations.
      decode: decodes a learner's actions.

    Raises:
      InputError: podmeta does not support their observations or actions, they differ in kind, or one occurs twice.
    """

    def __init__(self, name: str, environments: Sequence[SingleEnvironment]):
        super().__init__(name, len(environments))
        self._environments = environments
        self.encode = ObservationEncoder(environments[0].observation_spec(), name)
        self.decode = ActionDecoder(environments[0].action_spec(), name)
        try:
            check_distinct([environment.core for environment in environments])
            for index in range(1, len(environments)):
                self._check_specs(index)
        except FaultyEnvironmentError as fault:
            raise InputError(f"{name}: environment {fault.index} of {len(environments)} {fault.what}") from fault
        spec, batch = self.encode.spec, (len(environments),)
        self._current = dm_env.TimeStep(
            step_type=np.empty(batch, np.int32),
            reward=np.empty(batch, np.float32),
            discount=np.empty(batch, np.float32),
            observation=np.empty((*batch, *spec.shape), spec.dtype),
        )

    def observation_spec(self) -> specs.Array:
        """The environment's own, encoded."""
        return self.encode.spec

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """The environment's own, flat."""
        return self.decode.spec

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Begins lifetimes, one after the other."""
        started = np.flatnonzero(starts).tolist()
        with ExitsRaise():
            for index in started:
                self._advance(index, functools.partial(self._begin_lifetime, index), int(seeds[index]))
        if started:
            check_distinct([environment.core for environment in self._environments])
        return self._snapshot()

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Steps one after the other."""
        own_actions = np.array(self.decode(actions, (self.num_environments,)))  # an environment may change them
        with ExitsRaise():
            for index, action in enumerate(own_actions):
                self._advance(index, self._environments[index].step, action)
        return self._snapshot()

    def close(self) -> None:
        """Closes one after the other.

        Raises:
          PodmetaError: one of them failed. The others have been closed.
        """
        failed: tuple[int, BaseException] | None = None
        for index, environment in enumerate(self._environments):
            try:
                with ExitsRaise():
                    environment.close()
            except (Exception, SystemExit) as error:
                failed = failed or (index, error)
        if failed is not None:
            index, cause = failed
            raise PodmetaError(
                f"{self.name}: environment {index} of {self.num_environments} failed when it was closed: "
                f"{in_words(cause)}"
            ) from cause

    def _begin_lifetime(self, index: int, seed: int) -> Any:
        timestep = self._environments[index].begin_lifetime(seed)
        self._check_specs(index)
        return timestep

    def _check_specs(self, index: int) -> None:
        """Checks that an environment has the specs that the first one had when the batch was made."""
        environment = self._environments[index]
        try:
            encode = ObservationEncoder(environment.observation_spec(), self.name)
            decode = ActionDecoder(environment.action_spec(), self.name)
        except InputError as error:
            raise FaultyEnvironmentError(index, f"has changed its specs: {error}") from error
        except (Exception, SystemExit) as error:
            raise FaultyEnvironmentError(index, f"failed to return its specs: {in_words(error)}") from error
        if not self.encode.is_like(encode):
            raise FaultyEnvironmentError(
                index,
                f"has observations of {shown(encode.source)}, where those of the batch are {shown(self.encode.source)}",
            )
        if decode.spec != self.decode.spec or decode.source != self.decode.source:
            raise FaultyEnvironmentError(
                index, f"takes actions of {shown(decode.source)}, where the batch takes {shown(self.decode.source)}"
            )

    def _advance(self, index: int, call: Callable[[Any], Any], argument: Any) -> None:
        current = self._current
        try:
            timestep = _call(call, argument)
            step_type, reward, discount = checked_scalars(timestep)
            current.observation[index] = self.encode(timestep.observation)
            current.step_type[index], current.reward[index], current.discount[index] = step_type, reward, discount
        except FaultyEnvironmentError:
            raise
        except ContractError as error:
            raise FaultyEnvironmentError(index, str(error)) from error
        except SystemExit as error:
            raise FaultyEnvironmentError(index, f"failed: {in_words(error)}") from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever an environment may raise
            raise FaultyEnvironmentError(index, f"failed:\n{trace_of(error)}") from error

    def _snapshot(self) -> dm_env.TimeStep:
        return dm_env.TimeStep(*(array.copy() for array in self._current))


def make_inline(name: str, make: Callable[[], SingleEnvironment], num_environments: int) -> InlineEnvironments:
    """A batch of new environments, which are closed again if it cannot be made: they may hold processes or files.

    Args:
      name: what messages call the batch.
      make: makes one environment.
      num_environments: B.

    Raises:
      InputError: as `InlineEnvironments`, or because `make` failed.
    """
    made: list[SingleEnvironment] = []
    try:
        for _ in range(num_environments):
            made.append(make())
        return InlineEnvironments(name, made)
    except BaseException:
        for environment in made:
            close_quietly(environment)
        raise


def _call(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)


# After a segmentation fault, Python's faulthandler can still print the file of every frame, and nothing else: this one
# is the hint.
_call.__code__ = _call.__code__.replace(
    co_filename="<an environment that steps inline: if it crashed, environment.vectorisation=processes says which one>"
)
