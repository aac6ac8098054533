"""What passes between actors and the learner: unrolls one way, θ the other, and the first fault of anyone.

One lock guards it all. Actor i's unroll u serves update u, together with unroll u of every other actor. An actor may
begin it once θ has seen u - max_lag updates, so that no more than max_lag + 1 unrolls of an actor ever wait: the queue
is bounded by the same rule that bounds the lag. With max_lag = 0 actors and learner strictly alternate.
"""

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax

from podmeta.outer.base import OuterState, Summaries


class Published(NamedTuple):
    """A state of the outer loop that actors may act by.

    Attributes:
      version: updates it has seen.
      state: [1, ...] what actors need of the state, on the actor's device.
    """

    version: int
    state: OuterState


class Unroll(NamedTuple):
    """What an actor hands over for one update.

    Attributes:
      version: updates that the θ it acted by had seen.
      shards: by learner device, what must travel of the actor's slots, on that device.
      episode_returns: returns of the episodes that ended in it, by termination or truncation.
      num_cut_off: episodes that ended because their lifetimes had, when it began.
    """

    version: int
    shards: tuple[Summaries, ...]
    episode_returns: Sequence[float]
    num_cut_off: int


class Fault(NamedTuple):
    """What went wrong in an actor.

    Attributes:
      where: the actor, in words.
      error: the exception.
    """

    where: str
    error: BaseException


class Pipeline:
    """The meeting place of actors and learner."""

    def __init__(self, num_actors: int, max_lag: int) -> None:
        self._max_lag = max_lag
        self._changed = threading.Condition()
        self._published: Mapping[jax.Device, Published] = {}
        self._version: float = -math.inf  # updates that the published state has seen
        self._waiting: tuple[deque[Unroll], ...] = tuple(deque() for _ in range(num_actors))
        self._fault: Fault | None = None
        self._stopped = False

    def newest(self, device: jax.Device, update: int) -> Published | None:
        """For an actor: waits until it may begin the unroll of an update. None: it is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._version >= update - self._max_lag)
            return None if self._stopped else self._published[device]

    def hand_over(self, actor: int, unroll: Unroll) -> None:
        """For an actor: hands over its next unroll."""
        with self._changed:
            self._waiting[actor].append(unroll)
            self._changed.notify_all()

    def fail(self, where: str, error: BaseException) -> None:
        """For an actor: reports what went wrong. Only the first report counts."""
        with self._changed:
            self._fault = self._fault or Fault(where, error)
            self._changed.notify_all()

    def publish(self, version: int, by_device: Mapping[jax.Device, OuterState]) -> None:
        """For the learner: lets actors act by a state that has seen `version` updates."""
        with self._changed:
            self._published = {device: Published(version, state) for device, state in by_device.items()}
            self._version = version
            self._changed.notify_all()

    def collect(self) -> list[Unroll] | None:
        """For the learner: waits for the next unroll of every actor. None: it is to stop, or an actor has failed."""
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
        """Whether actors are to stop, for one to see in the middle of an unroll, which nobody will want."""
        return self._stopped

    def stop(self) -> None:
        """Tells every actor and the learner to stop."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
