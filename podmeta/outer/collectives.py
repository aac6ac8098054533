"""Sums over the devices of an update, in one exchange.

Between hosts, an exchange of a few kilobytes costs its latency, and separate exchanges for every leaf of a tree would
each cost as much.
"""

from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

Tree = TypeVar("Tree")
Stack = TypeVar("Stack")

_SMALL = 1024  # floats: to send these costs less than to wait for the devices once more


def sum_over_devices(tree: Tree, axis_name: str | None) -> Tree:
    """The sum of a pytree of floats over the devices of an axis; the tree itself if there is no axis.

    On CPUs, terms are added in the order of devices: the sum is the same, bit for bit, for any division over processes.
    """
    if axis_name is None:
        return tree
    vector, as_tree = ravel_pytree(tree)
    on_cpus, elsewhere = partial(_sum_in_few_hops, axis_name=axis_name), partial(jax.lax.psum, axis_name=axis_name)
    return as_tree(jax.lax.platform_dependent(vector, cpu=on_cpus, default=elsewhere))


def mean_and_stack_over_devices(averaged: Tree, stacked: Stack, axis_name: str | None) -> tuple[Tree, Stack]:
    """In one exchange, the mean of one pytree of floats over the devices of an axis, and all of another.

    Args:
      averaged: what to average.
      stacked: what to collect. It should be small, because each device sends it with zeros for all others.
      axis_name: the axis; None: there is one device.

    Returns:
      The mean, and the second tree with a leading axis of devices.
    """
    if axis_name is None:
        return averaged, jax.tree.map(lambda leaf: leaf[None], stacked)
    number, index = jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name)
    spread = jax.tree.map(lambda leaf: jnp.zeros((number, *leaf.shape), leaf.dtype).at[index].set(leaf), stacked)
    total, collected = sum_over_devices((averaged, spread), axis_name)
    return jax.tree.map(lambda leaf: leaf / number, total), collected


def _sum_in_few_hops(vector: Float[Array, "size"], axis_name: str) -> Float[Array, "size"]:
    """A sum for which devices wait for one another only once or twice.

    Gloo, which does the exchanges between processes on CPUs, computes the `psum` of n devices in 2 (n - 1) hops around
    a ring. Each hop waits until the next process and its Gloo event loop are scheduled on a core.
    """
    number, size = jax.lax.axis_size(axis_name), vector.size
    if (number - 2) * size <= _SMALL:  # so much more does a device send than in pieces, and waits once for twice
        return jnp.sum(_exchange(jnp.broadcast_to(vector, (number, size)), axis_name), axis=0)
    # Each adds up one piece, and tells all: 2 (n - 1) / n of the vector is sent, as in a ring.
    pieces = jnp.pad(vector, (0, -size % number)).reshape(number, -1)
    piece = jnp.sum(_exchange(pieces, axis_name), axis=0)
    return _exchange(jnp.broadcast_to(piece, pieces.shape), axis_name).reshape(-1)[:size]


def _exchange(by_receiver: Float[Array, "number piece"], axis_name: str) -> Float[Array, "number piece"]:
    """The parts of all devices for this one, in their order."""
    return jax.lax.all_to_all(by_receiver, axis_name, split_axis=0, concat_axis=0)
