"""Conversions between the observations and actions of environments, described by dm_env specs, and plain arrays."""

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from dm_env import specs
from jaxtyping import Float, Shaped, UInt8

from podmeta.environments.bridge.foreign_specs import ActionSpec, ObservationSpec, as_dm_env_spec
from podmeta.environments.contract import ContractError, real_array, shown
from podmeta.errors import InputError
from podmeta.value_types import AnyArray, AnyArrays

MOST_COMBINATIONS = 1000
"""The largest number of combinations of several discrete actions."""

MOST_COMPONENTS = 100_000_000
"""The largest number of components of an encoded observation or action: 400 MB."""


class ObservationEncoder:
    """Encodes an observation as one array.

    An array of bytes (an image, a memory) does not change, and other numbers become float32. An integer of a
    `DiscreteArray` becomes one-hot. The components of several arrays, in dictionaries and tuples, are concatenated in
    the order of the spec.

    Values that this would change are rejected: 300, 0.7 and NaN as bytes, and 7 and 1.5 for a `DiscreteArray` of 6.
    Float64 and large integers are rounded to float32.

    Args:
      spec: of the environment's observations: dm_env's specs, or those of Gymnasium or Jumanji.
      name: the environment's name in messages.

    Attributes:
      source: the spec of the environment, as a dm_env spec.
      spec: of an encoded observation.
      takes_one_array: whether an observation is one array. Such an array may be traced by JAX.

    Raises:
      InputError: observations are not numbers, or have no components.
    """

    def __init__(self, spec: ObservationSpec, name: str):
        spec = as_dm_env_spec(spec, name)
        self.source = spec
        leaves = [leaf for leaf, _ in _leaves(spec, spec)]
        for leaf in leaves:
            if not isinstance(leaf, specs.Array) or leaf.dtype.kind not in "fiub":
                raise InputError(f"{name} has observations of {leaf!r}: podmeta takes numbers, so choose another")
        if sum(math.prod(leaf.shape) for leaf in leaves) == 0:
            shape = f"of shape {leaves[0].shape}" if leaves else f"that are an empty {type(spec).__name__}"
            raise InputError(f"{name} has observations {shape}, and so no component: show a constant 1 instead")
        _check_size("has observations", leaves, name)
        self.takes_one_array = isinstance(spec, specs.Array)
        self._keeps_shape = len(leaves) == 1
        encoded = [_encoded_spec(leaf) for leaf in leaves]
        self.spec = encoded[0] if self._keeps_shape else _strung_together(encoded)
        is_as_is = self.takes_one_array and not isinstance(spec, specs.DiscreteArray) and spec.shape != ()
        self._dtype_as_is = self.spec.dtype if is_as_is else None  # an array of it is its own encoding

    def is_like(self, other: "ObservationEncoder") -> bool:
        """Whether another encoder's observations have the same parts, shapes and dtypes. Bounds may differ."""
        return _layout(self.source) == _layout(other.source)

    def __call__(
        self, observation: AnyArrays, batch: tuple[int, ...] = ()
    ) -> Float[AnyArray, "..."] | UInt8[AnyArray, "..."]:
        """Encodes one observation, or a `batch` of shape (B,), whose arrays have a leading axis.

        Raises:
          ContractError: it does not match the spec.
        """
        if (
            type(observation) is np.ndarray
            and observation.dtype is self._dtype_as_is
            and observation.shape == (batch + self.spec.shape if batch else self.spec.shape)
        ):
            return observation  # what most time steps are like: it needs no more checks
        if self.takes_one_array:
            return _encode(self.source, observation, batch)
        encoded = [_encode(leaf, values, batch) for leaf, values in _leaves(self.source, observation)]
        if self._keeps_shape:
            return encoded[0]
        return np.concatenate([part.reshape(*batch, -1).astype(np.float32, copy=False) for part in encoded], axis=-1)


class ActionDecoder:
    """Decodes the actions of a learner to those of an environment.

    Several discrete actions become one action per combination.

    Args:
      spec: of the environment's actions, from dm_env, Gymnasium or Jumanji.
      name: the environment's name in messages.

    Attributes:
      source: the spec of the environment, as a dm_env spec.
      spec: of a learner's actions: a `DiscreteArray`, or a `BoundedArray` float32 [num_actions]. A bound that is its
        dtype's largest number counts as no bound.

    Raises:
      InputError: the environment has other actions, or none.
    """

    def __init__(self, spec: ActionSpec, name: str):
        spec = as_dm_env_spec(spec, name, "action")
        self.source = spec
        if isinstance(spec, specs.Array):
            _check_size("takes actions", [spec], name)
        self._sizes: Shaped[np.ndarray, "*shape"] | None = None  # of several discrete actions, how many each has
        is_box = isinstance(spec, specs.BoundedArray) and not isinstance(spec, specs.DiscreteArray)
        if is_box and np.prod(spec.shape) == 0:
            raise InputError(f"{name} takes actions of shape {spec.shape}, and so has none to choose from")
        self.spec: specs.DiscreteArray | specs.BoundedArray
        if isinstance(spec, specs.DiscreteArray):
            self.spec = specs.DiscreteArray(spec.num_values, np.int32, "action")
        elif is_box and np.issubdtype(spec.dtype, np.floating):
            self.spec = _without_vast_bounds(spec, name)
        elif is_box and np.issubdtype(spec.dtype, np.integer):
            self._sizes = _sizes(spec, name)
            self.spec = specs.DiscreteArray(int(np.prod(self._sizes)), np.int32, "action")
        else:
            raise InputError(
                f"{name} takes actions of {spec!r}: podmeta gives one discrete action, or a box of real numbers, so "
                "choose another"
            )

    def __call__(
        self, actions: Shaped[AnyArray, "*batch_and_action"], batch: tuple[int, ...] = ()
    ) -> Shaped[AnyArray, "..."]:
        """Decodes one action, or a `batch` of shape (B,), which JAX may be tracing."""
        source = self.source
        if self._sizes is not None:
            sizes = self._sizes.ravel()
            actions = actions[..., None] // np.cumprod([1, *sizes[:-1]]) % sizes
            actions = actions + np.broadcast_to(source.minimum, source.shape).ravel()
        if source.dtype == np.float16:  # which would make infinity of 65,520 and more
            actions = actions.clip(np.finfo(np.float16).min, np.finfo(np.float16).max)
        decoded = actions.astype(source.dtype, copy=False).reshape((*batch, *source.shape))
        if source.dtype != np.float32 and np.issubdtype(source.dtype, np.floating):
            return decoded.clip(source.minimum, source.maximum)  # float32 may lie just outside a bound of float64
        return decoded


def _check_size(what: str, leaves: list[specs.Array], name: str) -> None:
    """Rejects sizes that would need more memory than a machine has, before allocating any."""
    if any(length < 0 for leaf in leaves for length in leaf.shape):
        raise InputError(f"{name} {what} of a negative size: {shown([leaf.shape for leaf in leaves])}")
    size = sum(int(getattr(leaf, "num_values", math.prod(leaf.shape))) for leaf in leaves)
    if size > MOST_COMPONENTS:
        raise InputError(f"{name} {what} of {size:,} numbers: podmeta takes at most {MOST_COMPONENTS:,}")


def _sizes(spec: specs.BoundedArray, name: str) -> Shaped[np.ndarray, "*shape"]:
    """The number of values of each of several discrete actions."""
    maximum = np.broadcast_to(spec.maximum, spec.shape).astype(object)
    sizes = np.asarray(maximum - np.broadcast_to(spec.minimum, spec.shape) + 1, object)  # one action gives an int
    number = int(np.prod(sizes))
    if number > MOST_COMBINATIONS or (sizes < 1).any():
        raise InputError(
            f"{name} takes actions of {spec!r}, which have {number:,} combinations: podmeta takes at most "
            f"{MOST_COMBINATIONS:,}, so let the environment offer fewer"
        )
    return sizes.astype(np.int32)


def _without_vast_bounds(spec: specs.BoundedArray, name: str) -> specs.BoundedArray:
    """A flat float32 spec, in which a bound that is its dtype's largest number is infinite."""
    minimum, maximum = (np.broadcast_to(end, spec.shape).astype(spec.dtype) for end in (spec.minimum, spec.maximum))
    if np.isnan(minimum).any() or np.isnan(maximum).any():
        raise InputError(f"{name} takes actions of {spec!r}, among whose bounds is a NaN: give numbers or infinity")
    if np.isposinf(minimum).any() or np.isneginf(maximum).any():
        raise InputError(f"{name} takes actions of {spec!r}, and no number is within these bounds: give others")
    vast = min(np.finfo(spec.dtype).max, np.finfo(np.float32).max)
    minimum, maximum = np.where(minimum <= -vast, -np.inf, minimum), np.where(maximum >= vast, np.inf, maximum)
    spec = specs.BoundedArray(spec.shape, spec.dtype, minimum, maximum, spec.name)
    return _as_float(spec, (int(np.prod(spec.shape)),))


def _leaves(spec: ObservationSpec, observation: Any) -> Iterator[tuple[specs.Array, Any]]:
    """The leaves of a spec in their order, each with its part of an observation."""
    if isinstance(spec, Mapping):
        if not isinstance(observation, Mapping) or observation.keys() != spec.keys():
            what = list(observation) if isinstance(observation, Mapping) else observation
            raise ContractError(f"showed {shown(what)} as its observation, but its spec has {shown(list(spec))}")
        for key, part in spec.items():
            yield from _leaves(part, observation[key])
    elif isinstance(spec, tuple | list):
        if not isinstance(observation, tuple | list) or len(observation) != len(spec):
            raise ContractError(f"showed {shown(observation)} as its observation, but its spec has {len(spec)} parts")
        for part, observed in zip(spec, observation, strict=True):
            yield from _leaves(part, observed)
    else:
        yield spec, observation


def _layout(spec: ObservationSpec) -> Any:
    """A spec without its bounds and names."""
    if isinstance(spec, Mapping):
        return {key: _layout(part) for key, part in spec.items()}
    if isinstance(spec, tuple | list):
        return [_layout(part) for part in spec]
    return spec.shape, spec.dtype, getattr(spec, "num_values", None)


def _encoded_spec(spec: specs.Array) -> specs.BoundedArray:
    if isinstance(spec, specs.DiscreteArray):
        return specs.BoundedArray((spec.num_values,), np.float32, 0.0, 1.0, "observation")
    shape = spec.shape or (1,)
    if spec.dtype == np.uint8:
        return specs.BoundedArray(shape, np.uint8, 0, 255, "observation")
    return _as_float(spec, shape)


def _as_float(spec: specs.Array, shape: tuple[int, ...]) -> specs.BoundedArray:
    ends = (spec.minimum, spec.maximum) if isinstance(spec, specs.BoundedArray) else (-np.inf, np.inf)
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        minimum, maximum = (np.broadcast_to(end, spec.shape).astype(np.float32).reshape(shape) for end in ends)
    return specs.BoundedArray(shape, np.float32, minimum, maximum, spec.name)


def _strung_together(parts: list[specs.BoundedArray]) -> specs.BoundedArray:
    minimum, maximum = (
        np.concatenate([np.broadcast_to(end, part.shape).ravel() for part, end in zip(parts, ends, strict=True)])
        for ends in ([part.minimum for part in parts], [part.maximum for part in parts])
    )
    return specs.BoundedArray(minimum.shape, np.float32, minimum, maximum, "observation")


def _encode(spec: specs.Array, values: Any, batch: tuple[int, ...]) -> Shaped[Any, "..."]:
    if not _is_traced(values):
        values = _fitting(spec, values)
    if values.shape != (*batch, *spec.shape):
        raise ContractError(
            f"showed an observation of shape {values.shape[len(batch) :]}, but its spec says {spec.shape}"
        )
    if isinstance(spec, specs.DiscreteArray):
        return (values[..., None] == np.arange(spec.num_values)).astype(np.float32)
    if not spec.shape:
        values = values[..., None]
    if spec.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.float32 or not isinstance(values, np.ndarray):
        return values.astype(np.float32, copy=False)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
        return values.astype(np.float32)


def _is_traced(values: Any) -> bool:
    """Whether this is an array in a program of JAX, which has no values yet."""
    return "jax" in sys.modules and isinstance(values, sys.modules["jax"].core.Tracer)


def _fitting(spec: specs.Array, values: Any) -> Shaped[np.ndarray, "..."]:
    """Values as an array, which the spec's encoding changes only by rounding to float32."""
    array = real_array("observation", values)
    if isinstance(spec, specs.DiscreteArray):
        smallest, largest = 0, spec.num_values - 1
    elif array.dtype == spec.dtype or spec.dtype.kind == "f":
        return array
    elif spec.dtype.kind == "b":
        smallest, largest = 0, 1
    else:
        smallest, largest = np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max
    fits = (array >= smallest) & (array <= largest)
    if array.dtype.kind == "f":
        fits &= array == np.floor(array)
    if not fits.all():
        value = array[~fits].ravel()[0]
        raise ContractError(
            f"showed {value} as an observation, but its spec says an integer from {smallest} to {largest}"
        )
    return array
