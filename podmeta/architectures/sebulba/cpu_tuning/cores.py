"""Pins threads to CPU cores, so that threads that take turns do not have to wake another core."""

import contextlib
import os
from collections.abc import Sequence, Set
from pathlib import Path

_CAN_KEEP = hasattr(os, "sched_setaffinity")


class SharedCores:
    """The division of this process's cores among actors and other threads. It does nothing outside Linux.

    Attributes:
      by_actor: the cores that each actor is pinned to.
      of_others: the cores without pinned actors; all cores if there are none, or if no actor is pinned.
    """

    def __init__(self, num_actors: int, num_cores: int) -> None:
        """Pins no thread yet.

        Args:
          num_actors: number of actors.
          num_cores: number of cores that they are pinned to in turn; 0: no pinning.
        """
        self._available = available_cores()
        shared = sorted(self._available)[:num_cores]
        self.by_actor: Sequence[Set[int]] = [
            {shared[index % len(shared)]} if shared else self._available for index in range(num_actors)
        ]
        self.of_others: Set[int] = self._available - frozenset().union(*self.by_actor) or self._available

    def keep_actor(self, index: int) -> None:
        """Pins this thread, and those that it starts from now on, to the cores of an actor."""
        if _CAN_KEEP:
            os.sched_setaffinity(0, self.by_actor[index])

    def keep_others(self) -> None:
        """Pins the unpinned threads of this process to the cores without actors."""
        _move_threads(self._available, self.of_others)

    def release_others(self) -> None:
        """Lets those threads use all cores again."""
        _move_threads(self.of_others, self._available)


def available_cores() -> Set[int]:
    """The cores that this thread may use; none if the system does not say."""
    return os.sched_getaffinity(0) if _CAN_KEEP else frozenset()


def _move_threads(before: Set[int], after: Set[int]) -> None:
    """Pins the threads of this process that were pinned to `before`, which may be all cores, to `after`."""
    if not _CAN_KEEP or before == after:
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it may end meanwhile
            if os.sched_getaffinity(int(thread.name)) == before:
                os.sched_setaffinity(int(thread.name), after)
