"""Adding up over devices: the same as leaf by leaf, in one exchange."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.outer.exchange import mean_over_devices, sum_over_devices
from podmeta.planning.hlo import collectives, parse_module

NUM_DEVICES = 4
TREE = {
    "weights": jnp.arange(24.0).reshape(NUM_DEVICES, 2, 3),
    "bias": (jnp.ones((NUM_DEVICES, 1)), -jnp.arange(4.0)),
}


def mapped(exchange):
    return jax.pmap(lambda tree: exchange(tree, "devices"), axis_name="devices")


@pytest.mark.parametrize(("exchange", "expected"), [(sum_over_devices, np.sum), (mean_over_devices, np.mean)])
def test_every_leaf_is_added_up_over_the_devices(exchange, expected):
    result = mapped(exchange)(TREE)
    for leaf, of_device in zip(jax.tree.leaves(TREE), jax.tree.leaves(result), strict=True):
        np.testing.assert_allclose(of_device, np.broadcast_to(expected(leaf, axis=0), leaf.shape), rtol=1e-6)


def test_all_leaves_travel_at_once():
    module = parse_module(mapped(sum_over_devices).lower(TREE).compile().as_text())
    (exchange,) = collectives(module)
    assert exchange.name == "all-reduce" and exchange.times == 1
    assert exchange.num_bytes == 4 * (6 + 1 + 1)


@pytest.mark.parametrize("exchange", [sum_over_devices, mean_over_devices])
def test_without_an_axis_there_is_nothing_to_exchange(exchange):
    assert exchange(TREE, None) is TREE
