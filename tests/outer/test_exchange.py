"""Adding up over devices: the same as leaf by leaf, in one exchange."""

import functools

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
LARGE_TREE = TREE | {"large": jax.random.normal(jax.random.key(0), (NUM_DEVICES, 1001))}  # 1009 floats: no whole pieces


def mapped(exchange):
    return jax.pmap(lambda tree: exchange(tree, "devices"), axis_name="devices")


@pytest.mark.parametrize("tree", [TREE, LARGE_TREE], ids=["whole", "in_pieces"])
@pytest.mark.parametrize(("exchange", "expected"), [(sum_over_devices, np.sum), (mean_over_devices, np.mean)])
def test_every_leaf_is_added_up_over_the_devices(exchange, expected, tree):
    result = mapped(exchange)(tree)
    for leaf, of_device in zip(jax.tree.leaves(tree), jax.tree.leaves(result), strict=True):
        np.testing.assert_allclose(of_device, np.broadcast_to(expected(leaf, axis=0), leaf.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_floats", [9, 1009])
def test_cpus_add_up_in_the_order_of_the_devices(num_floats):
    vectors = jax.random.normal(jax.random.key(1), (NUM_DEVICES, num_floats))
    in_order = functools.reduce(np.add, np.asarray(vectors))
    np.testing.assert_array_equal(mapped(sum_over_devices)(vectors), np.broadcast_to(in_order, vectors.shape))


@pytest.mark.parametrize(
    ("tree", "hops", "num_floats"), [(TREE, 1, NUM_DEVICES * (6 + 1 + 1)), (LARGE_TREE, 2, 2 * 1012)]
)
def test_all_leaves_travel_at_once(tree, hops, num_floats):
    module = parse_module(mapped(sum_over_devices).lower(tree).compile().as_text())
    (exchange,) = collectives(module)
    assert (exchange.name, exchange.times, exchange.num_bytes) == ("all-to-all", hops, 4 * num_floats)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_accelerators_add_up_by_their_own_means(platform):
    text = jax.jit(mapped(sum_over_devices)).trace(LARGE_TREE).lower(lowering_platforms=(platform,)).as_text()
    assert text.count('"stablehlo.all_reduce"') == 1 and "all_to_all" not in text


@pytest.mark.parametrize("exchange", [sum_over_devices, mean_over_devices])
def test_without_an_axis_there_is_nothing_to_exchange(exchange):
    assert exchange(TREE, None) is TREE
