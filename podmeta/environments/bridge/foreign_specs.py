"""Specs and spaces that are not dm_env's, such as Gymnasium's and Jumanji's, as dm_env specs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from dm_env import specs

from podmeta.environments.contract import shown
from podmeta.errors import InputError

ObservationSpec = Any
"""A dm_env spec, a spec or space of another library, or a dictionary or tuple of these."""

ActionSpec = Any
"""A dm_env spec, or a spec or space of another library."""


def as_dm_env_spec(
    spec: ObservationSpec | ActionSpec, name: str, kind: str = "observation"
) -> ObservationSpec | ActionSpec:
    """A spec, or a dictionary or tuple of them, as dm_env's.

    Any object with a shape, a dtype and, if it is bounded, a minimum and a maximum or a number of values, counts as a
    spec. Jumanji's specs are such objects.

    Args:
      spec: a spec or space.
      name: what messages call the environment.
      kind: "observation" or "action".

    Raises:
      InputError: it is something else.
    """
    if isinstance(spec, specs.Array):
        return spec
    if type(spec).__module__.startswith("gymnasium.") and hasattr(spec, "contains"):
        return _of_space(spec, name, kind)
    if isinstance(spec, Mapping):
        return {key: as_dm_env_spec(part, name, kind) for key, part in spec.items()}
    if isinstance(spec, tuple | list) and kind == "observation":
        return tuple(as_dm_env_spec(part, name, kind) for part in spec)
    try:
        return _of_attributes(spec, kind)
    except Exception as error:  # an attribute of somebody's class may raise anything
        verb = "takes actions" if kind == "action" else "has observations"
        raise InputError(
            f"{name} {verb} of {shown(spec)}, a {type(spec).__name__}: podmeta takes dm_env's specs"
            + (", one discrete action, or a box of real numbers" if kind == "action" else " of numbers")
            + ", so choose another"
        ) from error


def _of_space(space: Any, name: str, kind: str) -> Any:
    from podmeta.environments.bridge.spaces import action_spec_of, observation_spec_of  # imports gymnasium

    if kind == "observation":
        return observation_spec_of(space, name)
    if np.any(np.asarray(getattr(space, "start", 0)) != 0) and not hasattr(space, "nvec"):
        raise InputError(
            f"{name} takes actions of the space {space}, which does not count from 0: take podmeta.from_gymnasium's "
            "environment and its action_spec() instead"
        )
    return action_spec_of(space, name)


def _of_attributes(spec: Any, kind: str) -> specs.Array:
    shape, dtype = tuple(spec.shape), np.dtype(spec.dtype)
    if hasattr(spec, "num_values"):
        if np.ndim(spec.num_values) == 0 and shape == ():
            return specs.DiscreteArray(int(spec.num_values), dtype, kind)
        return specs.BoundedArray(shape, dtype, 0, np.asarray(spec.num_values) - 1, kind)
    if hasattr(spec, "minimum") and hasattr(spec, "maximum"):
        return specs.BoundedArray(shape, dtype, np.asarray(spec.minimum), np.asarray(spec.maximum), kind)
    return specs.Array(shape, dtype, kind)
