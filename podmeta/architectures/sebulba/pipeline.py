"""The connection between actors and the learner: unrolls, θ, and the first fault.

One lock protects everything. Unroll u of every actor belongs to update u. An actor may begin it once u - max_lag
updates of θ are done, so no more than max_lag + 1 unrolls of an actor ever wait: the rule that bounds the lag also
bounds the queue. With max_lag = 0 actors and learner strictly alternate.
"""

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax

from podmeta.outer.base import OuterState, Summaries


class Published(NamedTuple):
    """A published state of the outer loop.

    Attributes:
      version: updates done in it.
      state: [1, ...] the actors' part of the state, on the actor's device.
    """

    version: int
    state: OuterState


class Unroll(NamedTuple):
    """The unroll of one actor for one update.

    Attributes:
      version: updates done in the θ that acted.
      shards: by learner device, the summaries of the actor's slots, on that device.
      episode_returns: returns of the episodes that ended in it, by termination or truncation.
      num_cut_off: episodes that were cut off at its start, because their lifetimes ended.
    """

    version: int
    shards: tuple[Summaries, ...]
    episode_returns: Sequence[float]
    num_cut_off: int


class Fault(NamedTuple):
    """An error in an actor.

    Attributes:
      where: the actor, in words.
      error: the exception.
    """

    where: str
    error: BaseException


class Pipeline:
    """Connects actors and learner."""

    def __init__(self, num_actors: int, max_lag: int) -> None:
        self._max_lag = max_lag
        self._changed = threading.Condition()
        self._published: Mapping[jax.Device, Published] = {}
        self._version: float = -math.inf  # updates that the published state has seen
        self._waiting: tuple[deque[Unroll], ...] = tuple(deque() for _ in range(num_actors))
        self._fault: Fault | None = None
        self._stopped = False

    def newest(self, device: jax.Device, update: int) -> Published | None:
        """For an actor: waits until it may begin the unroll of an update. None: it must stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._version >= update - self._max_lag)
            return None if self._stopped else self._published[device]

    def hand_over(self, actor: int, unroll: Unroll) -> None:
        """For an actor: hands over its next unroll."""
        with self._changed:
            self._waiting[actor].append(unroll)
            self._changed.notify_all()

    def fail(self, where: str, error: BaseException) -> None:
        """For an actor: reports an error. Only the first report counts."""
        with self._changed:
            self._fault = self._fault or Fault(where, error)
            self._changed.notify_all()

    def publish(self, version: int, by_device: Mapping[jax.Device, OuterState]) -> None:
        """For the learner: publishes the state after `version` updates."""
        with self._changed:
            self._published = {device: Published(version, state) for device, state in by_device.items()}
            self._version = version
            self._changed.notify_all()

    def collect(self) -> list[Unroll] | None:
        """For the learner: waits for the next unroll of every actor. None: it must stop, or an actor has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._fault is not None or all(self._waiting))
            if self._stopped or self._fault is not None:
                return None
            return [unrolls.popleft() for unrolls in self._waiting]

    def depth(self) -> int:
        """Unrolls that wait for the learner."""
        with self._changed:
            return sum(map(len, self._waiting))

    @property
    def fault(self) -> Fault | None:
        """The first fault of an actor."""
        return self._fault

    @property
    def stopped(self) -> bool:
        """Whether actors must stop, so that an actor can leave an unroll unfinished."""
        return self._stopped

    def stop(self) -> None:
        """Tells every actor and the learner to stop."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
