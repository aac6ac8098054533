"""Batches of host environments in transforms."""

import functools

import dm_env
import numpy as np
import pytest
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.transformed import TransformedBatch, specs_of
from podmeta.environments.transforms.actions import PermutedActions
from podmeta.environments.transforms.observations import FlippedObservationSigns, PermutedObservations
from podmeta.environments.transforms.rewards import AccumulatedRewards, DelayedRewards

BATCH = 3
DRAWING = [PermutedObservations, PermutedActions, FlippedObservationSigns]
seeds = st.integers(0, 2**32 - BATCH)


class Boards(HostEnvironment):
    """Each shows its step and its last action, which also pays."""

    def __init__(self):
        super().__init__("boards", BATCH)

    def observation_spec(self):
        return specs.BoundedArray((2, 2), np.float32, 0.0, 9.0)

    def action_spec(self):
        return specs.DiscreteArray(4, np.int32)

    def reset(self, starts, seeds):
        self._step = 0
        return self._shown(np.full(BATCH, dm_env.StepType.FIRST, np.int32), np.zeros(BATCH))

    def step(self, actions):
        self._step += 1
        return self._shown(np.full(BATCH, dm_env.StepType.MID, np.int32), actions)

    def close(self):
        pass

    def _shown(self, step_type, actions):
        shown = np.stack([np.full(BATCH, self._step), actions, actions + 1, actions + 2], axis=1, dtype=np.float32)
        rewards = np.asarray(actions, np.float32)
        return dm_env.TimeStep(step_type, rewards, np.ones(BATCH, np.float32), shown.reshape(BATCH, 2, 2))


def wrap(make):
    boards = Boards()
    return TransformedBatch(boards, make(specs_of(boards)))


@pytest.mark.parametrize("make", DRAWING)
def test_a_batch_is_that_inside_transformed(make):
    batch, inside = wrap(make), Boards()
    transform = make(specs_of(inside))
    every, rows = np.ones(BATCH, bool), np.arange(BATCH, dtype=np.uint32)
    outer, inner = batch.reset(every, rows), inside.reset(every, rows)
    for _ in range(3):
        for shown, wanted in zip(outer, transform.outer_timestep(batch.drawn, inner), strict=True):
            np.testing.assert_array_equal(shown, wanted)
            assert shown.dtype == wanted.dtype
        actions = np.array([0, 3, 1], np.int32)
        outer, inner = batch.step(actions), inside.step(transform.inner_action(batch.drawn, actions))


@pytest.mark.parametrize("make", DRAWING)
@given(seed=seeds)
def test_a_draw_follows_from_its_seed_alone(make, seed):
    batch, other = wrap(make), wrap(make)
    rows = np.array([seed, seed + 1, seed + 2], np.uint32)
    batch.reset(np.ones(BATCH, bool), rows)
    before = batch.drawn.copy()
    other.reset(np.ones(BATCH, bool), np.arange(BATCH, dtype=np.uint32))
    other.reset(np.array([False, True, True]), rows[::-1].copy())
    np.testing.assert_array_equal(other.drawn[1:], before[::-1][1:])

    batch.reset(np.array([False, True, False]), np.full(BATCH, 7, np.uint32))
    np.testing.assert_array_equal(batch.drawn[[0, 2]], before[[0, 2]])


@given(seed=seeds)
def test_draws_are_those_of_the_generator_of_seed_and_stream(seed):
    """The draws of every version of podmeta: a pool of a given seed has the same task today and tomorrow."""
    rows = np.full(BATCH, seed, np.uint32)
    observations, actions, signs = (wrap(make) for make in DRAWING)
    for batch in (observations, actions, signs):
        batch.reset(np.ones(BATCH, bool), rows)
    np.testing.assert_array_equal(observations.drawn[1], np.random.default_rng((seed, 0)).permutation(4))
    np.testing.assert_array_equal(actions.drawn[1], np.random.default_rng((seed, 1)).permutation(4))
    expected = np.random.default_rng((seed, 2)).choice(np.array([-1.0, 1.0], np.float32), (2, 2))
    np.testing.assert_array_equal(signs.drawn[1].reshape(2, 2), expected)


@pytest.mark.parametrize(
    "transform",
    [functools.partial(DelayedRewards, delay=2), functools.partial(AccumulatedRewards, period=3)],
    ids=["delayed", "accumulated"],
)
def test_lifetimes_that_begin_leave_what_others_remember(transform, make_script):
    """Two batches of the same environments; in one, the lifetime of row 0 begins anew again and again."""

    def rewards_of(resets):
        batch = make_script(3, length=4)
        batch = TransformedBatch(batch, transform(specs_of(batch)))
        rewards = [batch.reset(np.ones(3, bool), np.arange(3, dtype=np.uint32)).reward]
        for step in range(12):
            rewards.append(batch.step(np.full(3, step % 5, np.int32)).reward)
            if resets and step % 3 == 1:
                shown = batch.reset(np.array([True, False, False]), np.zeros(3, np.uint32))
                np.testing.assert_array_equal(shown.reward[1:], rewards[-1][1:])
                assert shown.reward[0] == 0
                batch.reset(np.zeros(3, bool), np.zeros(3, np.uint32))
        return np.stack(rewards)

    undisturbed, disturbed = rewards_of(False), rewards_of(True)
    assert undisturbed.any()
    np.testing.assert_array_equal(disturbed[:, 1:], undisturbed[:, 1:])
