"""A packed tree is the tree, in as many arrays as it has dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podmeta.architectures.sebulba.cpu_tuning.packing import pack, unpack

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
LEAVES = st.tuples(SHAPES, st.sampled_from(["float32", "int32", "uint8", "bool"]))
TREES = st.recursive(LEAVES.map(lambda leaf: [leaf]), lambda inner: st.dictionaries(st.text(), inner), max_leaves=6)


@given(TREES, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_what_is_unpacked_is_what_was_packed(tree, num, seed):
    generator = np.random.default_rng(seed)

    def filled(leaf):
        shape, dtype = leaf
        return jnp.asarray(generator.integers(0, 2, (num, *shape)).astype(dtype))

    packed_from = jax.tree.map(filled, tree, is_leaf=lambda node: isinstance(node, tuple))
    packed = pack(packed_from)
    assert len(packed.arrays) == len({leaf.dtype for leaf in jax.tree.leaves(packed_from)})
    jax.tree.map(np.testing.assert_array_equal, unpack(packed), packed_from)
    grown = unpack(jax.tree.map(lambda array: jnp.stack([array, array]), packed))
    jax.tree.map(lambda leaf, once: np.testing.assert_array_equal(leaf[1], once), grown, packed_from)
