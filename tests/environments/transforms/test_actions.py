"""Transforms of actions, as properties."""

import numpy as np
import pytest
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.host.transformed import GeneratorRandom
from podmeta.environments.transforms.actions import DiscretisedActions, FlippedActionSigns, PermutedActions
from podmeta.errors import InputError

seeds = st.integers(0, 2**31 - 1)


@given(num_actions=st.integers(1, 7), seed=seeds)
def test_permuted_actions_are_known_by_what_they_do_inside(num_actions, seed, specs_with):
    transform = PermutedActions(specs_with(num_actions=num_actions))
    drawn = transform.draw(GeneratorRandom(seed, transform.stream))
    actions = np.arange(num_actions, dtype=np.int32)
    inner = transform.inner_action(np.tile(drawn, (num_actions, 1)), actions)
    np.testing.assert_array_equal(inner, drawn)
    inside = np.random.default_rng(seed).normal(size=num_actions).astype(np.float32)
    np.testing.assert_array_equal(transform.expected_rewards(drawn, inside), inside[inner])


@given(num_actions=st.integers(1, 5), seed=seeds)
def test_permuted_box_actions_move_their_components(num_actions, seed, specs_with, action_of):
    inside = specs_with(num_actions=num_actions, continuous=True)
    transform, action = PermutedActions(inside), action_of(inside.action, seed, ())
    drawn = transform.draw(GeneratorRandom(seed, transform.stream))
    np.testing.assert_array_equal(transform.inner_action(drawn, action)[drawn], action)
    assert transform.outside.action == inside.action


def test_box_actions_of_unequal_bounds_are_not_permuted(specs_with):
    growing = specs.BoundedArray((2,), np.float32, [-1.0, -2.0], [1.0, 2.0])
    with pytest.raises(InputError, match=r"environment\.permute_actions"):
        PermutedActions(specs_with()._replace(action=growing))


@given(num_actions=st.integers(1, 5), seed=seeds)
def test_flipped_twice_an_action_is_itself(num_actions, seed, specs_with, action_of):
    inside = specs_with(num_actions=num_actions, continuous=True)
    transform, action = FlippedActionSigns(inside), action_of(inside.action, seed, ())
    drawn = transform.draw(GeneratorRandom(seed, transform.stream))
    inner = transform.inner_action(drawn, action)
    np.testing.assert_array_equal(np.abs(inner), np.abs(action))
    np.testing.assert_array_equal(transform.inner_action(drawn, inner), action)


def test_only_boxes_of_symmetric_bounds_have_signs_to_flip(specs_with):
    with pytest.raises(InputError, match=r"flip_action_signs: .*discrete.*permute_actions=true"):
        FlippedActionSigns(specs_with())
    positive = specs.BoundedArray((2,), np.float32, 0.0, 1.0)
    with pytest.raises(InputError, match=r"not symmetric.*flip_action_signs=false"):
        FlippedActionSigns(specs_with()._replace(action=positive))


@given(number=st.integers(2, 9), components=st.integers(1, 3))
def test_discrete_actions_are_all_combinations_of_evenly_spaced_values(number, components, specs_with):
    transform = DiscretisedActions(specs_with(num_actions=components, continuous=True), number)
    assert transform.outside.action.num_values == number**components
    inner = transform.inner_action((), np.arange(number**components, dtype=np.int32))
    assert len(np.unique(inner, axis=0)) == number**components
    for column in inner.T:
        np.testing.assert_allclose(np.unique(column), np.linspace(-2, 2, number), rtol=1e-6)


def test_only_bounded_boxes_become_discrete(specs_with):
    with pytest.raises(InputError, match=r"discrete already; .*discrete_actions=0"):
        DiscretisedActions(specs_with(), 5)
    endless = specs.BoundedArray((1,), np.float32, -np.inf, np.inf)
    with pytest.raises(InputError, match="no finite bounds"):
        DiscretisedActions(specs_with()._replace(action=endless), 5)
    with pytest.raises(InputError, match="at least 2"):
        DiscretisedActions(specs_with(num_actions=1, continuous=True), 1)
    with pytest.raises(InputError, match="1,296 combinations of 4 components"):
        DiscretisedActions(specs_with(continuous=True), 6)
