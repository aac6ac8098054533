"""From what environments hand out and take, described by dm_env specs, to the plain arrays that learners work on."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from dm_env import specs
from jaxtyping import Float, Shaped, UInt8

from podmeta.errors import InputError

ObservationSpec = Any  # a dm_env spec, or a dictionary or tuple of them


class ObservationEncoder:
    """Makes one array of an observation.

    An array of bytes (an image, a memory) stays as it is and any other number becomes float32; an integer of a
    `DiscreteArray` becomes one-hot. Of several arrays, in dictionaries and tuples, the components are strung together
    in the order of the spec.

    Args:
      spec: what an environment shows.
      name: what messages call the environment.

    Attributes:
      spec: what one observation looks like when encoded.
      takes_one_array: whether an observation is one array, which may then be one inside a program of JAX.

    Raises:
      InputError: there are observations that are no numbers.
    """

    def __init__(self, spec: ObservationSpec, name: str):
        self._source = spec
        leaves = [leaf for leaf, _ in _leaves(spec, spec)]
        for leaf in leaves:
            if not isinstance(leaf, specs.Array) or not (
                np.issubdtype(leaf.dtype, np.number) or leaf.dtype == np.bool_
            ):
                raise InputError(f"{name} has observations of {leaf!r}: podmeta takes numbers, so choose another")
        self.takes_one_array = isinstance(spec, specs.Array)
        self._keeps_shape = len(leaves) == 1
        encoded = [_encoded_spec(leaf) for leaf in leaves]
        self.spec = encoded[0] if self._keeps_shape else _strung_together(encoded)

    def __call__(self, observation: Any, batch: tuple[int, ...] = ()) -> Float[Any, "..."] | UInt8[Any, "..."]:
        """Encodes one observation, or a `batch` of (B,) of them, whose arrays have a leading axis.

        Raises:
          ChangedShapeError: its shape is not the spec's.
        """
        if self.takes_one_array:
            return _encode(self._source, observation, batch)
        encoded = [_encode(leaf, values, batch) for leaf, values in _leaves(self._source, observation)]
        if self._keeps_shape:
            return encoded[0]
        return np.concatenate([part.reshape(*batch, -1).astype(np.float32, copy=False) for part in encoded], axis=-1)


class ActionDecoder:
    """Makes the actions of a learner those of an environment.

    Args:
      spec: what an environment takes.
      name: what messages call the environment.

    Attributes:
      spec: what a learner gives: a `DiscreteArray`, or a `BoundedArray` float32 [num_actions].

    Raises:
      InputError: the environment takes something else.
    """

    def __init__(self, spec: Any, name: str):
        self._source = spec
        if isinstance(spec, specs.DiscreteArray):
            self.spec = specs.DiscreteArray(spec.num_values, np.int32, "action")
        elif isinstance(spec, specs.BoundedArray) and np.issubdtype(spec.dtype, np.floating):
            self.spec = _as_float(spec, (int(np.prod(spec.shape)),))
        else:
            raise InputError(
                f"{name} takes actions of {spec!r}: podmeta gives one discrete action, or a box of real numbers, so "
                "choose another"
            )

    def __call__(self, actions: Shaped[Any, "*batch_and_action"], batch: tuple[int, ...] = ()) -> Shaped[Any, "..."]:
        """Decodes one action, or a `batch` of (B,) of them, which may be an array in a program of JAX."""
        return actions.astype(self._source.dtype, copy=False).reshape((*batch, *self._source.shape))


class ChangedShapeError(Exception):
    """An observation has not the shape that the environment said it would have."""


def _leaves(spec: ObservationSpec, observation: Any) -> Iterator[tuple[specs.Array, Any]]:
    """The specs in a spec, in its order, each with its part of an observation."""
    if isinstance(spec, Mapping):
        for key, part in spec.items():
            yield from _leaves(part, observation[key])
    elif isinstance(spec, tuple | list):
        for part, observed in zip(spec, observation, strict=True):
            yield from _leaves(part, observed)
    else:
        yield spec, observation


def _encoded_spec(spec: specs.Array) -> specs.BoundedArray:
    if isinstance(spec, specs.DiscreteArray):
        return specs.BoundedArray((spec.num_values,), np.float32, 0.0, 1.0, "observation")
    shape = spec.shape or (1,)
    if spec.dtype == np.uint8:
        return specs.BoundedArray(shape, np.uint8, 0, 255, "observation")
    return _as_float(spec, shape)


def _as_float(spec: specs.Array, shape: tuple[int, ...]) -> specs.BoundedArray:
    bounded = isinstance(spec, specs.BoundedArray)
    ends = (spec.minimum, spec.maximum) if bounded else (-np.inf, np.inf)
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
    values = values if hasattr(values, "astype") else np.asarray(values)  # it may be an array in a program of JAX
    if values.shape != (*batch, *spec.shape):
        raise ChangedShapeError(
            f"showed an observation of shape {values.shape[len(batch) :]}, where its spec says {spec.shape}"
        )
    if isinstance(spec, specs.DiscreteArray):
        return (values[..., None] == np.arange(spec.num_values)).astype(np.float32)
    if not spec.shape:
        values = values[..., None]
    return values.astype(np.uint8 if spec.dtype == np.uint8 else np.float32, copy=False)
