"""What both architectures share: the axis over devices, and the state that a job carries and a checkpoint holds."""

from typing import NamedTuple, TypeAlias

from jaxtyping import PyTree

from podmeta.outer.base import OuterState

DEVICE_AXIS = "devices"

SlotLifetimes: TypeAlias = PyTree
"""By entry, the lifetimes of one slot that go on across updates; () for an entry that every update begins anew."""


class TrainingState(NamedTuple):
    """What is carried from one update to the next.

    Attributes:
      outer: [num_instances, ...] the outer loop's state, the same on every device.
      lifetimes: [slots, num_instances, ...] the lifetimes that go on across updates, divided over the devices; ()
        where there are none, or where their environments live on the host and cannot be saved.
    """

    outer: OuterState
    lifetimes: SlotLifetimes
