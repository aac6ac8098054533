"""Keeping threads to some of the CPU's cores, so that those which take turns need not wake one another's core."""

import contextlib
import os
from collections.abc import Sequence, Set
from pathlib import Path

_CAN_KEEP = hasattr(os, "sched_setaffinity")


def available_cores() -> Set[int]:
    """The cores that this thread may use; none where the system does not tell."""
    return os.sched_getaffinity(0) if _CAN_KEEP else frozenset()


def cores_of_actors(num_actors: int, num_cores: int) -> list[Set[int]]:
    """By actor, the cores that it is kept to.

    Args:
      num_actors: how many.
      num_cores: how many cores they share, one each, in turn; 0: every actor may use all.
    """
    available = available_cores()
    shared = sorted(available)[:num_cores]
    return [{shared[index % len(shared)]} if shared else available for index in range(num_actors)]


def cores_of_others(by_actor: Sequence[Set[int]]) -> Set[int]:
    """The cores that no actor is kept to; all, where actors leave none or are not kept."""
    available = available_cores()
    return available - frozenset().union(*by_actor) or available


def move_threads(before: Set[int], after: Set[int]) -> None:
    """Keeps to `after` those threads of this process that have been kept to `before`, which may be all cores."""
    if not _CAN_KEEP or before == after:
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it may end meanwhile
            if os.sched_getaffinity(int(thread.name)) == before:
                os.sched_setaffinity(int(thread.name), after)


def keep_to(cores: Set[int]) -> None:
    """Keeps this thread, and those that it starts from now on, to `cores`; where the system cannot, does nothing."""
    if _CAN_KEEP:
        os.sched_setaffinity(0, cores)
