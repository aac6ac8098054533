"""Checkpoints of earlier versions: they go on with the numbers that they hold."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from podmeta.errors import InputError
from podmeta.outer.value_statistics import ValueStatistics
from podmeta.storage.checkpoint_files import CheckpointMetadata
from podmeta.storage.checkpoints import Checkpoints


class State(NamedTuple):
    meta_params: Any
    value_statistics: tuple


class EarlierStatistics(NamedTuple):
    mean: Any
    mean_square: Any
    weight: Any


def test_sums_of_value_targets_become_a_mean_and_a_variance(tmp_path):
    # Of two instances, of which the second has seen nothing yet.
    saved = EarlierStatistics(*(np.array(pair, np.float32) for pair in ([1.5, 0.0], [13 / 2, 0.0], [0.5, 0.0])))
    Checkpoints(tmp_path).save(7, State(np.ones(3, np.float32), (saved,)), CheckpointMetadata(1.0))
    number = jax.ShapeDtypeStruct((2,), np.float32)
    target = State(jax.ShapeDtypeStruct((3,), np.float32), (ValueStatistics(number, number, number, number),))
    restored = Checkpoints(tmp_path).restore_latest(target)
    assert restored.step == 7
    (statistics,) = restored.tree.value_statistics
    for leaf, expected in zip(statistics, ([0.5, 0.0], [3.0, 0.0], [0.0, 0.0], [4.0, 0.0]), strict=True):
        assert leaf.dtype == np.float32
        np.testing.assert_allclose(leaf, expected, rtol=1e-6)
    np.testing.assert_array_equal(restored.tree.meta_params, np.ones(3))


def test_states_of_today_are_left_alone(tmp_path):
    number = np.float32(2.0)
    state = State(np.ones(3, np.float32), (ValueStatistics(number, number, number, number),))
    Checkpoints(tmp_path).save(7, state, CheckpointMetadata(1.0))
    restored = Checkpoints(tmp_path).restore_latest(state).tree
    jax.tree.map(np.testing.assert_array_equal, restored, state)


class StateWithLifetimes(NamedTuple):
    outer: Any
    lifetimes: Any


def test_lifetimes_that_no_update_goes_on_with_are_left_out(tmp_path):
    outer = {"meta_params": np.arange(3, dtype=np.float32), "empty": np.zeros((0, 2), np.float32)}
    lifetimes = {"key_data": np.ones((4, 2), np.uint32), "task": (np.zeros(4, np.float32), np.ones(4, np.int32))}
    Checkpoints(tmp_path).save(7, StateWithLifetimes(outer, (lifetimes, lifetimes)), CheckpointMetadata(1.0))
    restored = Checkpoints(tmp_path).restore_latest(StateWithLifetimes(outer, ((), lifetimes))).tree
    jax.tree.map(np.testing.assert_array_equal, restored, StateWithLifetimes(outer, ((), lifetimes)))


def test_no_other_array_is_left_out(tmp_path):
    saved = StateWithLifetimes({"meta_params": np.ones(3), "value_statistics": np.ones(2)}, ())
    Checkpoints(tmp_path).save(7, saved, CheckpointMetadata(1.0))
    with pytest.raises(InputError, match=r"value_statistics.* absent now"):
        Checkpoints(tmp_path).restore_latest(StateWithLifetimes({"meta_params": np.ones(3)}, ()))
