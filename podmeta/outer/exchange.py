"""What the devices of an update add up, in one exchange.

Between hosts an exchange of a few kilobytes costs its latency, which every leaf of a tree would cost again.
"""

from typing import TypeVar

import jax
from jax.flatten_util import ravel_pytree

Tree = TypeVar("Tree")


def sum_over_devices(tree: Tree, axis_name: str | None) -> Tree:
    """The sum of a pytree of floats over the devices of an axis; the tree itself where there is no axis."""
    if axis_name is None:
        return tree
    vector, as_tree = ravel_pytree(tree)
    return as_tree(jax.lax.psum(vector, axis_name))


def mean_over_devices(tree: Tree, axis_name: str | None) -> Tree:
    """The mean, likewise."""
    if axis_name is None:
        return tree
    vector, as_tree = ravel_pytree(tree)
    return as_tree(jax.lax.pmean(vector, axis_name))
