"""Gymnasium spaces as dm_env specs. envpool describes its environments by such spaces too."""

from typing import Any

from dm_env import specs
from gymnasium import Space, spaces

from podmeta.environments.bridge.foreign_specs import ObservationSpec
from podmeta.errors import InputError

AnySpace = Space[Any]
"""A space, whatever its elements are."""


def observation_spec_of(space: AnySpace, name: str) -> ObservationSpec:
    """The spec of an observation space; for a composite space, a dictionary or tuple of specs.

    Args:
      space: the space.
      name: what messages call the environment.

    Raises:
      InputError: there are observations of another kind of space.
    """
    match space:
        case spaces.Box():
            return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, "observation")
        case spaces.Discrete(start=0):
            return specs.DiscreteArray(int(space.n), space.dtype, "observation")
        case spaces.MultiBinary():
            return specs.BoundedArray(space.shape, space.dtype, 0, 1, "observation")
        case spaces.Dict():
            return {key: observation_spec_of(part, name) for key, part in space.spaces.items()}
        case spaces.Tuple():
            return tuple(observation_spec_of(part, name) for part in space.spaces)
    raise InputError(
        f"{name} has observations of the space {space}: podmeta takes Box, Discrete (from 0) and MultiBinary, alone or "
        "in a Dict or Tuple, so choose another"
    )


def action_spec_of(space: AnySpace, name: str) -> specs.BoundedArray:
    """The spec of an action space. Discrete actions are counted from 0; several make a `BoundedArray` of integers.

    Args:
      space: the space.
      name: what messages call the environment.

    Raises:
      InputError: there are actions of another kind of space.
    """
    match space:
        case spaces.Discrete():
            return specs.DiscreteArray(int(space.n), space.dtype, "action")
        case spaces.Box():
            return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, "action")
        case spaces.MultiDiscrete():
            return specs.BoundedArray(space.shape, space.dtype, space.start, space.start + space.nvec - 1, "action")
        case spaces.MultiBinary():
            return specs.BoundedArray(space.shape, space.dtype, 0, 1, "action")
    raise InputError(
        f"{name} takes actions of the space {space}: podmeta gives those of a Discrete, MultiDiscrete or MultiBinary "
        "space or a Box, so choose another"
    )
