"""From what environments show and take to plain arrays."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.bridge.arrays import ActionDecoder, ObservationEncoder
from podmeta.environments.contract import ContractError
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
    with pytest.raises(ContractError, match=r"shape \(.*\), but its spec says \(2,\)"):
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


@pytest.mark.parametrize("spec", [specs.Array((2,), np.float32), specs.BoundedArray((5,), np.int32, 0, 3), {}])
def test_other_actions_are_refused(spec):
    with pytest.raises(InputError, match="it takes actions of"):
        ActionDecoder(spec, "it")


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(-3, 3))
def test_several_discrete_actions_are_one_of_all_their_combinations(sizes, minimum):
    decode = ActionDecoder(specs.BoundedArray((len(sizes),), np.int64, minimum, np.array(sizes) + minimum - 1), "it")
    number = decode.spec.num_values
    assert number == np.prod(sizes)
    actions = decode(np.arange(number, dtype=np.int32), (number,))
    assert actions.dtype == np.int64 and len(np.unique(actions, axis=0)) == number
    for action in actions:
        decode.source.validate(action)
    np.testing.assert_array_equal(jax.jit(lambda a: decode(a, (number,)))(np.arange(number)), actions)


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300), st.sampled_from([np.float64, np.float32]))
def test_a_decoded_action_is_never_outside_a_bound(minimum, width, dtype):
    with np.errstate(over="ignore"):
        ends = np.array([minimum, minimum + width], dtype)
    spec = specs.BoundedArray((1,), dtype, *ends)
    decode = ActionDecoder(spec, "it")
    for end in (decode.spec.minimum, decode.spec.maximum):
        spec.validate(decode(np.asarray(end, np.float32).reshape(1)))


@pytest.mark.parametrize(
    ("spec", "values", "message"),
    [
        (specs.BoundedArray((2,), np.uint8, 0, 255), [300, 0], "showed 300 as an observation.*integer from 0 to 255"),
        (specs.BoundedArray((2,), np.uint8, 0, 255), [0.7, 0], "showed 0.7 "),
        (specs.BoundedArray((2,), np.uint8, 0, 255), [np.nan, 0], "showed nan "),
        (specs.BoundedArray((2,), np.uint8, 0, 255), np.array([-1, 0], np.int8), "showed -1 "),
        (specs.DiscreteArray(6), 7, "showed 7 as an observation.*integer from 0 to 5"),
        (specs.DiscreteArray(6), 1.5, "showed 1.5 "),
        (specs.DiscreteArray(6), -1, "showed -1 "),
        (specs.Array((2,), np.int8), [300, 0], "showed 300 as an observation.*integer from -128 to 127"),
        (specs.Array((2,), np.int64), [0.5, 0], "showed 0.5 "),
        (specs.Array((2,), np.uint64), [-1, 0], "showed -1 "),
        (specs.Array((2,), bool), [7, 0], "showed 7 .*integer from 0 to 1"),
        (specs.BoundedArray((2,), np.uint8, 0, 255), jnp.array([300, 0]), "showed 300 "),
        (specs.DiscreteArray(6), jnp.array(7), "showed 7 "),
        (specs.Array((2,), np.float32), jnp.array([1j, 0]), "dtype complex64.*real numbers are required"),
        (specs.Array((2,), np.float32), [1j, 0], "dtype complex128.*real numbers are required"),
        (specs.Array((2,), np.float32), ["1", "2"], "dtype <U1.*real numbers are required"),
        (specs.Array((2,), np.float32), [b"1", b"2"], "real numbers are required"),
        (specs.Array((2,), np.float32), [None, 1.0], "real numbers are required"),
        (specs.Array((2,), np.float32), [[1.0], [1.0, 2.0]], "cannot be converted to an array"),
        ({"a": specs.Array((), np.float32)}, {"b": 1.0}, r"showed \['b'\] as its observation.*spec has \['a'\]"),
        ({"a": specs.Array((), np.float32)}, 1.0, r"showed 1.0 as its observation.*spec has \['a'\]"),
        ((specs.Array((), np.float32),) * 2, (1.0,), "its spec has 2 parts"),
    ],
)
def test_values_that_the_spec_does_not_hold_are_refused(spec, values, message):
    with pytest.raises(ContractError, match=message):
        ObservationEncoder(spec, "it")(values)


def test_casts_that_lose_nothing_are_made():
    encode = ObservationEncoder(specs.BoundedArray((2,), np.uint8, 0, 255), "it")
    assert encode(np.array([255.0, 0.0])).dtype == np.uint8
    np.testing.assert_array_equal(ObservationEncoder(specs.DiscreteArray(3), "it")(2.0), [0, 0, 1])
    np.testing.assert_array_equal(ObservationEncoder(specs.DiscreteArray(2), "it")(True), [0, 1])


def test_one_action_from_a_box_of_integers_is_discrete():
    decode = ActionDecoder(specs.BoundedArray((), np.int32, 3, 7), "it")
    assert decode.spec.num_values == 5
    np.testing.assert_array_equal(decode(np.arange(5), (5,)), np.arange(3, 8))
    assert decode(np.int32(4)) == 7


@pytest.mark.parametrize("bound", [np.inf, -np.inf])
def test_bounds_that_hold_no_number_are_refused(bound):
    with pytest.raises(InputError, match="no number is within these bounds"):
        ActionDecoder(specs.BoundedArray((2,), np.float32, [0.0, bound], [1.0, bound]), "it")


@pytest.mark.parametrize("spec", [{}, (), specs.Array((0,), np.float32)])
def test_observations_without_a_component_are_refused(spec):
    with pytest.raises(InputError, match="no component: show a constant 1"):
        ObservationEncoder(spec, "it")


@pytest.mark.parametrize("largest", [np.finfo(np.float32).max, np.finfo(np.float64).max, np.inf])
def test_the_largest_float_is_no_bound(largest):
    spec = ActionDecoder(specs.BoundedArray((2,), np.float64, [-largest, 0.0], [largest, 1.0]), "it").spec
    np.testing.assert_array_equal(spec.minimum, [-np.inf, 0.0])
    np.testing.assert_array_equal(spec.maximum, [np.inf, 1.0])


class Like:
    """A spec of another library's class."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def test_specs_of_other_classes_are_taken_for_what_they_say():
    box = Like(shape=(2,), dtype=np.float32, minimum=-1.0, maximum=1.0)
    assert ActionDecoder(box, "it").spec == specs.BoundedArray((2,), np.float32, [-1.0, -1.0], [1.0, 1.0])
    assert ActionDecoder(Like(shape=(), dtype=np.int32, num_values=4), "it").spec.num_values == 4
    assert ActionDecoder(Like(shape=(2,), dtype=np.int32, num_values=np.array([4, 2])), "it").spec.num_values == 8
    assert ObservationEncoder({"a": Like(shape=(3,), dtype=np.int8)}, "it").spec.shape == (3,)
    with pytest.raises(InputError, match=r"it has observations of .*Like"):
        ObservationEncoder(Like(shape=3), "it")


def test_a_number_beyond_float32_becomes_infinite_without_a_warning():
    parts = {"a": specs.Array((2,), np.float64), "b": specs.Array((), np.float64)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(ObservationEncoder(parts["a"], "test")(np.array([1e300, 0.0]))[0])
        encoded = ObservationEncoder(parts, "test")({"a": np.array([0.0, -1e300]), "b": 1e200})
    np.testing.assert_array_equal(encoded, [0.0, -np.inf, np.inf])


@pytest.mark.parametrize(
    "spec", [specs.Array((10**6, 10**6), np.float32), specs.DiscreteArray(10**12, np.int64)], ids=["array", "discrete"]
)
def test_what_no_memory_holds_is_refused_at_once(spec):
    with pytest.raises(InputError, match="it has observations of 1,000,000,000,000 numbers: podmeta takes at most"):
        ObservationEncoder({"a": spec}, "it")
    with pytest.raises(InputError, match="it takes actions of 1,000,000,000,000 numbers: podmeta takes at most"):
        ActionDecoder(spec, "it")


def test_a_million_actions_are_taken():
    assert ActionDecoder(specs.DiscreteArray(10**6), "it").spec.num_values == 10**6


class Raising:
    @property
    def shape(self):
        raise RuntimeError("no shape")


@pytest.mark.parametrize("spec", [specs.Array((-1,), np.float32), specs.Array((2,), np.complex64), Raising()])
def test_a_spec_of_no_real_numbers_is_refused(spec):
    with pytest.raises(InputError, match="it has observations of "):
        ObservationEncoder(spec, "it")


def test_an_action_of_half_precision_stays_finite():
    decode = ActionDecoder(specs.BoundedArray((1,), np.float16, -1.0, np.inf), "it")
    assert np.isfinite(decode(np.array([1e6], np.float32))).all()
