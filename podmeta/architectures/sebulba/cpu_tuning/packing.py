"""Trees of arrays as few arrays: one for each dtype that occurs.

To hand an array to a program and to be handed it costs Python some microseconds, however small it is, and an actor has
none to spare; what it keeps of an env step is a tree of ten.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Shaped


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """A leaf of the tree: which of the arrays it is in, and what of a row of that array."""

    array: int
    first: int
    shape: tuple[int, ...]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["arrays"], meta_fields=["leaves", "structure"])
@dataclasses.dataclass(frozen=True)
class Packed:
    """A tree of arrays whose leading axes are all the same.

    Attributes:
      arrays: by dtype, [*leading axes, numbers of all leaves of that dtype].
      leaves: by leaf, where it is.
      structure: of the tree.
    """

    arrays: tuple[Any, ...]  # JAX puts shapes there, too
    leaves: tuple[_Leaf, ...]
    structure: Any


def pack(tree: PyTree) -> Packed:
    """Packs a tree whose leaves are all [num, ...]."""
    leaves, structure = jax.tree.flatten(tree)
    dtypes = sorted({leaf.dtype for leaf in leaves}, key=str)
    sizes = [0] * len(dtypes)
    places = []
    for leaf in leaves:
        index = dtypes.index(leaf.dtype)
        places.append(_Leaf(index, sizes[index], leaf.shape[1:]))
        sizes[index] += math.prod(leaf.shape[1:])
    by_dtype = [[leaf for leaf in leaves if leaf.dtype == dtype] for dtype in dtypes]
    return Packed(tuple(map(_joined, by_dtype)), tuple(places), structure)


def unpack(packed: Packed) -> PyTree:
    """The tree, behind whatever leading axes the arrays have now."""
    leaves = []
    for leaf in packed.leaves:
        array = packed.arrays[leaf.array]
        numbers = array[..., leaf.first : leaf.first + math.prod(leaf.shape)]
        leaves.append(numbers.reshape((*array.shape[:-1], *leaf.shape)))
    return jax.tree.unflatten(packed.structure, leaves)


def _joined(leaves: Sequence[Any]) -> Shaped[Array, "num size"]:
    return jnp.concatenate([leaf.reshape(len(leaf), math.prod(leaf.shape[1:])) for leaf in leaves], axis=1)
