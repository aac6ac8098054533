"""The common parts of both architectures: the axis over devices, and the state of a job, which a checkpoint holds."""

from typing import NamedTuple, TypeAlias

from jaxtyping import PyTree

from podmeta.outer.base import OuterState

DEVICE_AXIS = "devices"

SlotLifetimes: TypeAlias = PyTree
"""By entry, the lifetimes of one slot that continue across updates; () for an entry whose lifetimes last one update."""


class TrainingState(NamedTuple):
    """The state between updates.

    Attributes:
      outer: [num_instances, ...] the outer loop's state, the same on every device.
      lifetimes: [slots, num_instances, ...] the lifetimes that continue across updates, divided over the devices; () if
        there are none, or if they are in host environments, which cannot be saved.
    """

    outer: OuterState
    lifetimes: SlotLifetimes
