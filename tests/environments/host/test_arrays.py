"""From what environments show and take to plain arrays."""

import numpy as np
import pytest
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.host.arrays import ActionDecoder, ChangedShapeError, ObservationEncoder
from podmeta.errors import InputError

shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@given(st.lists(shapes, min_size=2, max_size=4), st.integers(1, 3))
def test_several_arrays_are_strung_together_in_their_order(shapes, batch_size):
    spec = {str(index): specs.Array(shape, np.float64) for index, shape in enumerate(reversed(shapes))}
    encode = ObservationEncoder(spec, "it")
    generator = np.random.default_rng(0)
    observations = {key: generator.normal(size=(batch_size, *leaf.shape)) for key, leaf in spec.items()}
    together = encode(observations, (batch_size,))
    assert together.shape == (batch_size, *encode.spec.shape) and together.dtype == np.float32
    for row in range(batch_size):
        alone = {key: values[row] for key, values in observations.items()}
        expected = np.concatenate([np.ravel(values) for values in alone.values()]).astype(np.float32)
        np.testing.assert_array_equal(together[row], expected)
        np.testing.assert_array_equal(encode(alone), expected)
        encode.spec.validate(together[row])


def test_nested_arrays_discrete_values_and_bounds():
    spec = (
        {"b": specs.DiscreteArray(3), "a": specs.BoundedArray((2,), np.float64, [0.0, -1e60], 5.0)},
        [specs.BoundedArray((), np.uint8, 0, 9)],
    )
    encode = ObservationEncoder(spec, "it")
    np.testing.assert_array_equal(encode.spec.minimum, [0, 0, 0, 0, -np.inf, 0])
    np.testing.assert_array_equal(encode.spec.maximum, [1, 1, 1, 5, 5, 255])
    shown = ({"a": np.array([3.0, 4.0]), "b": 1}, [np.uint8(7)])  # the order of the spec counts
    np.testing.assert_array_equal(encode(shown), [0, 1, 0, 3, 4, 7])


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.bool_])
def test_numbers_become_float32_and_keep_their_shape(dtype):
    encode = ObservationEncoder(specs.Array((2, 1), dtype), "it")
    encoded = encode(np.ones((2, 1), dtype))
    assert encoded.dtype == np.float32 == encode.spec.dtype
    assert encoded.shape == (2, 1) == encode.spec.shape


def test_bytes_are_handed_on_without_a_copy():
    encode = ObservationEncoder(specs.BoundedArray((2, 2), np.uint8, 0, 255), "it")
    picture = np.ones((5, 2, 2), np.uint8)
    assert encode(picture, (5,)) is picture or np.shares_memory(encode(picture, (5,)), picture)
    assert encode.spec.dtype == np.uint8


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((1, 2)), 0.0])
def test_another_shape_is_refused(values):
    encode = ObservationEncoder(specs.Array((2,), np.float32), "it")
    with pytest.raises(ChangedShapeError, match=r"shape \(.*\), where its spec says \(2,\)"):
        encode(values)


def test_words_are_no_observations():
    with pytest.raises(InputError, match="it has observations of StringArray"):
        ObservationEncoder({"a": specs.StringArray(())}, "it")


def test_boxes_of_actions_are_flat_outside_and_have_their_own_shape_and_precision_inside():
    decode = ActionDecoder(specs.BoundedArray((2, 2), np.float64, [[0.0, 1.0], [2.0, 3.0]], 9.0), "it")
    np.testing.assert_array_equal(decode.spec.minimum, [0, 1, 2, 3])
    assert decode.spec.shape == (4,) and decode.spec.dtype == np.float32
    actions = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert decode(actions, (2,)).shape == (2, 2, 2) and decode(actions, (2,)).dtype == np.float64
    np.testing.assert_array_equal(decode(actions, (2,)).ravel(), np.arange(8.0))


@pytest.mark.parametrize("spec", [specs.Array((2,), np.float32), specs.BoundedArray((2,), np.int32, 0, 3), {}])
def test_other_actions_are_refused(spec):
    with pytest.raises(InputError, match="it takes actions of"):
        ActionDecoder(spec, "it")
