"""Properties of an environment's dm_env specs."""

from typing import NamedTuple, TypeAlias

import numpy as np
from dm_env import specs

ActionSpec: TypeAlias = specs.DiscreteArray | specs.BoundedArray


class EnvironmentSpecs(NamedTuple):
    """The specs of an environment.

    Attributes:
      observation: the spec of its observations.
      action: the spec of its actions.
      episodes_end: whether an episode ever ends.
    """

    observation: specs.Array
    action: ActionSpec
    episodes_end: bool = True


def num_components(spec: specs.Array) -> int:
    """The number of components of an array of the spec."""
    return int(np.prod(spec.shape))


def count_actions(spec: ActionSpec) -> int:
    """The number of discrete actions, or of components of a box."""
    return spec.num_values if isinstance(spec, specs.DiscreteArray) else num_components(spec)
