"""Adding up over devices: the same as leaf by leaf, in one exchange."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.outer.collectives import mean_and_stack_over_devices, sum_over_devices
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
def test_every_leaf_is_added_up_over_the_devices(tree):
    result = mapped(sum_over_devices)(tree)
    for leaf, of_device in zip(jax.tree.leaves(tree), jax.tree.leaves(result), strict=True):
        np.testing.assert_allclose(of_device, np.broadcast_to(np.sum(leaf, axis=0), leaf.shape), rtol=1e-5, atol=1e-6)


def test_one_exchange_averages_one_tree_and_collects_another():
    exchange = mapped(lambda tree, axis_name: mean_and_stack_over_devices(other_tree(tree), tree, axis_name))
    averaged, collected = exchange(TREE)
    expected = jax.tree.map(lambda leaf: np.mean(leaf, axis=0), other_tree(TREE))
    for device in range(NUM_DEVICES):
        jax.tree.map(lambda leaf, d=device: np.testing.assert_array_equal(leaf[d], leaf[0]), averaged)
        jax.tree.map(lambda leaf, whole, d=device: np.testing.assert_array_equal(leaf[d], whole), collected, TREE)
    jax.tree.map(lambda leaf, mean: np.testing.assert_allclose(leaf[0], mean, rtol=1e-6), averaged, expected)
    module = parse_module(exchange.lower(TREE).compile().as_text())
    assert [found.name for found in collectives(module)] == ["all-to-all"]


def other_tree(tree):
    return jax.tree.map(lambda leaf: 2.0 * leaf - 1.0, tree)


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


def test_without_an_axis_there_is_nothing_to_exchange():
    assert sum_over_devices(TREE, None) is TREE
    averaged, collected = mean_and_stack_over_devices(TREE, TREE, None)
    assert averaged is TREE
    jax.tree.map(lambda leaf, whole: np.testing.assert_array_equal(leaf, whole[None]), collected, TREE)
