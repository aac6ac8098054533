"""Keeping threads to some of the CPU's cores, so that those which take turns need not wake one another's core."""

import contextlib
import os
from collections.abc import Sequence, Set
from pathlib import Path

_CAN_KEEP = hasattr(os, "sched_setaffinity")


class SharedCores:
    """The cores of this process, as actors and all other threads share them. It does nothing where Linux is not.

    Attributes:
      by_actor: the cores that each actor is kept to.
      of_others: the cores that no actor is kept to; all, where actors leave none or are not kept.
    """

    def __init__(self, num_actors: int, num_cores: int) -> None:
        """Keeps nobody yet.

        Args:
          num_actors: how many actors there are.
          num_cores: how many cores they share, one each, in turn; 0: every actor may use all.
        """
        self._available = available_cores()
        shared = sorted(self._available)[:num_cores]
        self.by_actor: Sequence[Set[int]] = [
            {shared[index % len(shared)]} if shared else self._available for index in range(num_actors)
        ]
        self.of_others: Set[int] = self._available - frozenset().union(*self.by_actor) or self._available

    def keep_actor(self, index: int) -> None:
        """Keeps this thread, and those that it starts from now on, to the cores of an actor."""
        if _CAN_KEEP:
            os.sched_setaffinity(0, self.by_actor[index])

    def keep_others(self) -> None:
        """Keeps the threads of this process that are kept to no core to those that actors leave."""
        _move_threads(self._available, self.of_others)

    def release_others(self) -> None:
        """Lets those threads use all cores again."""
        _move_threads(self.of_others, self._available)


def available_cores() -> Set[int]:
    """The cores that this thread may use; none where the system does not tell."""
    return os.sched_getaffinity(0) if _CAN_KEEP else frozenset()


def _move_threads(before: Set[int], after: Set[int]) -> None:
    """Keeps to `after` those threads of this process that have been kept to `before`, which may be all cores."""
    if not _CAN_KEEP or before == after:
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it may end meanwhile
            if os.sched_getaffinity(int(thread.name)) == before:
                os.sched_setaffinity(int(thread.name), after)
