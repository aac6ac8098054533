"""What is asked of an environment's dm_env specs."""

from typing import NamedTuple, TypeAlias

import numpy as np
from dm_env import specs

ActionSpec: TypeAlias = specs.DiscreteArray | specs.BoundedArray


class EnvironmentSpecs(NamedTuple):
    """What an environment shows and takes.

    Attributes:
      observation: the spec of its observations.
      action: the spec of its actions.
      episodes_end: whether an episode ever ends.
    """

    observation: specs.Array
    action: ActionSpec
    episodes_end: bool = True


def num_components(spec: specs.Array) -> int:
    """How many numbers an array of the spec holds."""
    return int(np.prod(spec.shape))


def count_actions(spec: ActionSpec) -> int:
    """How many discrete actions there are, or how many components a box of them has."""
    return spec.num_values if isinstance(spec, specs.DiscreteArray) else num_components(spec)
