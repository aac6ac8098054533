"""The common part of adapters to environments of other libraries."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def leaf_types(shapes: PyTree) -> PyTree:
    """The data type of every leaf, such as of a stepped state.

    A reset state may hold Python or weakly typed numbers where a stepped state holds arrays. `select` and `scan` need
    one type, so adapters `cast` every state to the types of a stepped one.
    """
    return jax.tree.map(lambda leaf: leaf.dtype, shapes)


def cast(tree: PyTree, types: PyTree) -> PyTree:
    """A copy of `tree` with leaves of the given types, none of them weak."""
    return jax.tree.map(lambda leaf, dtype: jnp.asarray(leaf, dtype), tree, types)
