"""Padding, as properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.transforms.padding import Padded
from podmeta.errors import InputError

seeds = st.integers(0, 2**31 - 1)


@given(seed=seeds, shape=st.sampled_from([(1,), (4,), (2, 2)]), surplus=st.integers(0, 3))
def test_padding_adds_zeros(seed, shape, surplus, specs_with, timestep_of):
    inside, size = specs_with(shape), int(np.prod(shape))
    transform, timestep = Padded(inside, size + surplus, 0), timestep_of(inside, seed)
    padded = transform.outer_timestep((), timestep).observation
    np.testing.assert_array_equal(padded[:, :size], timestep.observation.reshape(-1, size))
    np.testing.assert_array_equal(padded[:, size:], np.zeros((len(padded), surplus)))
    for observation in padded:
        transform.outside.observation.validate(observation)


@given(real=st.integers(1, 4), surplus=st.integers(0, 7))
def test_padded_actions_are_other_names_for_the_same_actions(real, surplus, specs_with):
    transform, number = Padded(specs_with(num_actions=real), 0, real + surplus), real + surplus
    same = np.array([action for _ in range(number) for action in range(real)][:number])  # written out another way
    np.testing.assert_array_equal(transform.inner_action((), np.arange(number, dtype=np.int32)), same)
    inside = np.arange(1.0, real + 1, dtype=np.float32)
    np.testing.assert_array_equal(transform.expected_rewards((), inside), inside[same])
    assert transform.outside.action.num_values == number


def test_further_components_of_a_box_do_nothing(specs_with):
    transform = Padded(specs_with(num_actions=2, continuous=True), 0, 5)
    np.testing.assert_array_equal(transform.outside.action.maximum, [2.0, 2.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(transform.inner_action((), np.arange(5, dtype=np.float32)), [0.0, 1.0])


def test_either_size_may_be_left_as_it_is(specs_with):
    inside = specs_with((4,), num_actions=3)
    wide, busy = Padded(inside, 9, 0).outside, Padded(inside, 0, 5).outside
    assert (wide.observation.shape, wide.action) == ((9,), inside.action)
    assert (busy.observation, busy.action.num_values) == (inside.observation, 5)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((2, 0), r"padded_observation_size is 2.*make it 4 or more"), ((0, 2), r"padded_num_actions is 2.*make it 3 or")],
)
def test_padding_to_less_is_refused(sizes, message, specs_with):
    with pytest.raises(InputError, match=rf"environment\.{message}"):
        Padded(specs_with((4,), num_actions=3), *sizes)
