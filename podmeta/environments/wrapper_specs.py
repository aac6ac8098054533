"""What the task wrappers make of an environment's specs, on the device and on the host alike."""

from collections.abc import Sequence

import numpy as np
from dm_env import specs
from jaxtyping import Float

from podmeta.errors import InputError


def permuted_observation_spec(spec: specs.Array) -> specs.Array:
    """Any component may appear anywhere, so all have the widest bounds of any."""
    if not isinstance(spec, specs.BoundedArray):
        return spec
    return spec.replace(minimum=np.min(spec.minimum), maximum=np.max(spec.maximum))


def check_permutable_actions(spec: specs.DiscreteArray | specs.BoundedArray) -> None:
    """Checks that one bound holds for every permutation of the actions.

    Raises:
      InputError: the bounds differ between the components of a box.
    """
    if np.unique(spec.minimum).size > 1 or np.unique(spec.maximum).size > 1:
        raise InputError(
            "environment.permute_actions: the bounds of this environment's actions differ between "
            "components, which then cannot be shuffled; set environment.permute_actions=false"
        )


def flipped_observation_spec(spec: specs.Array) -> specs.Array:
    """Either sign may appear, so the bounds are symmetric."""
    if not isinstance(spec, specs.BoundedArray):
        return spec
    bound = np.maximum(np.abs(spec.minimum), np.abs(spec.maximum))
    return spec.replace(minimum=-bound, maximum=bound)


def observation_factors(spec: specs.Array, factors: Sequence[float]) -> Float[np.ndarray, "..."]:
    """`environment.observation_scale` in the shape of an observation.

    Raises:
      InputError: the number of factors is wrong, or one of them is not finite.
    """
    size = num_components(spec)
    if len(factors) not in (1, size):
        raise InputError(
            f"environment.observation_scale has {len(factors)} factors, but an observation has {size} "
            f"components: give {size} factors, or one for all"
        )
    if not np.all(np.isfinite(factors)):
        raise InputError(f"environment.observation_scale is {list(factors)}: every factor must be finite")
    return np.broadcast_to(np.asarray(factors, np.float32), size).reshape(spec.shape)


def scaled_observation_spec(spec: specs.Array, factors: Float[np.ndarray, "..."]) -> specs.Array:
    """The bounds times the factors; a negative factor swaps them."""
    if not isinstance(spec, specs.BoundedArray):
        return spec
    # Beyond float32 is infinite; infinite times 0 is put right below.
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.stack([spec.minimum * factors, spec.maximum * factors])
    ends = np.where(factors == 0, np.float32(0), ends)
    return spec.replace(minimum=ends.min(axis=0), maximum=ends.max(axis=0))


def duplicated_observation_spec(spec: specs.Array, copies: int) -> specs.Array:
    """That inside, flat, one copy after the other."""
    shape = (copies * num_components(spec),)
    if not isinstance(spec, specs.BoundedArray):
        return specs.Array(shape, spec.dtype, spec.name)
    minimum, maximum = (
        np.tile(np.broadcast_to(bound, spec.shape).ravel(), copies) for bound in (spec.minimum, spec.maximum)
    )
    return specs.BoundedArray(shape, spec.dtype, minimum, maximum, spec.name)


def padded_observation_spec(spec: specs.Array, observation_size: int) -> specs.Array:
    """That inside, flat, and then zeros. 0 leaves it as it is."""
    if not observation_size:
        return spec
    shape = (observation_size,)
    if not isinstance(spec, specs.BoundedArray):
        return specs.Array(shape, spec.dtype, spec.name)
    surplus = observation_size - num_components(spec)
    minimum, maximum = (
        np.pad(np.broadcast_to(bound, spec.shape).ravel(), (0, surplus)) for bound in (spec.minimum, spec.maximum)
    )
    return specs.BoundedArray(shape, spec.dtype, minimum, maximum, spec.name)


def padded_action_spec(
    spec: specs.DiscreteArray | specs.BoundedArray, num_actions: int
) -> specs.DiscreteArray | specs.BoundedArray:
    """That inside, with more actions. Further components of a box go from -1 to 1. 0 leaves it as it is."""
    if not num_actions:
        return spec
    if isinstance(spec, specs.DiscreteArray):
        return specs.DiscreteArray(num_actions, spec.dtype, spec.name)
    further = np.ones(num_actions - num_components(spec), spec.dtype)
    minimum, maximum = (np.broadcast_to(bound, spec.shape) for bound in (spec.minimum, spec.maximum))
    return specs.BoundedArray(
        (num_actions,),
        spec.dtype,
        np.concatenate([minimum, -further]),
        np.concatenate([maximum, further]),
        spec.name,
    )


def check_failures_exist(episodes_end: bool) -> None:
    """Checks that a reward for failures can ever be other than 0.

    Raises:
      InputError: episodes never end.
    """
    if not episodes_end:
        raise InputError(
            "environment.failure_reward pays for episodes that terminate, but episodes of this environment never end: "
            "set environment.failure_reward=false"
        )


def check_padding(
    observation_spec: specs.Array,
    action_spec: specs.DiscreteArray | specs.BoundedArray,
    observation_size: int,
    num_actions: int,
) -> None:
    """Checks that an environment fits into its padding.

    Raises:
      InputError: it has more components or actions than that.
    """
    for key, padded, real, what in (
        ("padded_observation_size", observation_size, num_components(observation_spec), "components in an observation"),
        ("padded_num_actions", num_actions, count_actions(action_spec), "actions"),
    ):
        if padded and padded < real:
            raise InputError(
                f"environment.{key} is {padded}, but this environment has {real} {what}: make it {real} or more"
            )


def num_components(spec: specs.Array) -> int:
    """How many numbers an array of the spec holds."""
    return int(np.prod(spec.shape))


def count_actions(spec: specs.DiscreteArray | specs.BoundedArray) -> int:
    """How many discrete actions there are, or how many components a box of them has."""
    return spec.num_values if isinstance(spec, specs.DiscreteArray) else num_components(spec)
