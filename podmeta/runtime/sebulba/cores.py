"""Keeping threads to some of the CPU's cores, so that those which take turns need not wake one another's core."""

import contextlib
import os
from collections.abc import Iterator, Set

_CAN_KEEP = hasattr(os, "sched_setaffinity")


def cores_of_actors(num_actors: int, num_cores: int) -> list[Set[int]]:
    """By actor, the cores that it is kept to.

    Args:
      num_actors: how many.
      num_cores: how many cores they share, one each, in turn; 0: every actor may use all.
    """
    if not _CAN_KEEP:
        return [frozenset()] * num_actors
    available = sorted(os.sched_getaffinity(0))
    shared = available[:num_cores]
    return [{shared[index % len(shared)]} if shared else set(available) for index in range(num_actors)]


def keep_to(cores: Set[int]) -> None:
    """Keeps this thread, and those that it starts from now on, to `cores`; where the system cannot, does nothing."""
    if _CAN_KEEP:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def kept_to(cores: Set[int]) -> Iterator[None]:
    """Keeps this thread to `cores` for a while; those that it starts meanwhile stay there."""
    before = os.sched_getaffinity(0) if _CAN_KEEP else frozenset()
    keep_to(cores)
    try:
        yield
    finally:
        keep_to(before)
