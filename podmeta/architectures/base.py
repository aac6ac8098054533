"""What both architectures share: the axis over devices, and the state that a job carries and a checkpoint holds."""

from typing import NamedTuple

from podmeta.outer.base import OuterState, RowLifetimes

DEVICE_AXIS = "devices"


class TrainingState(NamedTuple):
    """What is carried from one update to the next.

    Attributes:
      outer: [num_instances, ...] the outer loop's state, the same on every device.
      lifetimes: [rows, num_instances, ...] the lifetimes that go on across updates, divided over the devices; ()
        where there are none, or where they are lived on the host and cannot be saved.
    """

    outer: OuterState
    lifetimes: RowLifetimes
