"""Transforms of rewards."""

import dm_env
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.host.transformed import GeneratorRandom
from podmeta.environments.transforms.rewards import AccumulatedRewards, DelayedRewards, FailureReward, RescaledRewards
from podmeta.errors import InputError


def test_only_termination_is_paid_for(specs_with):
    step_type = np.array([0, 1, 2, 2], np.int32)
    discount = np.array([1.0, 0.0, 0.0, 1.0], np.float32)
    timestep = dm_env.TimeStep(step_type, np.full(4, 7.0, np.float32), discount, np.zeros((4, 2, 3), np.float32))
    outer = FailureReward(specs_with()).outer_timestep((), timestep)
    np.testing.assert_array_equal(outer.reward, [0, 0, -1, 0])
    assert outer.observation is timestep.observation and outer.discount is discount


def test_episodes_that_never_end_have_no_failures(specs_with):
    with pytest.raises(InputError, match=r"failure_reward=false"):
        FailureReward(specs_with(episodes_end=False))


FIRST, MID, LAST = 0, 1, 2
seeds = st.integers(0, 2**31 - 1)
# Lengths of episodes, their first and last time steps included; the last one may not end.
episodes = st.lists(st.integers(2, 7), min_size=1, max_size=5)


def lifetime_of(lengths, seed):
    """The step types and rewards of a lifetime of episodes."""
    step_types = [kind for length in lengths for kind in (FIRST, *[MID] * (length - 2), LAST)]
    rewards = np.random.default_rng(seed).normal(size=len(step_types)).astype(np.float32)
    rewards[np.array(step_types) == FIRST] = 0.0
    return step_types, rewards


def paid(transform, step_types, rewards):
    """What a transform with memory pays for these rewards, one time step after the other."""
    memory, shown = transform.first_memory(()), []
    for step_type, reward in zip(step_types, rewards, strict=True):
        timestep = dm_env.TimeStep(np.asarray(step_type, np.int32), np.asarray(reward), np.ones(()), np.zeros((2, 3)))
        memory, outer = transform.remember((), memory, timestep)
        shown.append(float(outer.reward))
    return np.array(shown)


def by_episode(lengths, values):
    return np.split(np.asarray(values), np.cumsum(lengths)[:-1])


@given(lengths=episodes, seed=seeds, delay=st.integers(1, 4))
def test_a_delayed_reward_comes_so_many_steps_later_or_at_the_end(lengths, seed, delay, specs_with):
    step_types, rewards = lifetime_of(lengths, seed)
    shown = paid(DelayedRewards(specs_with(), delay), step_types, rewards)
    for real, late in zip(by_episode(lengths, rewards), by_episode(lengths, shown), strict=True):
        expected = np.zeros(len(real))
        for step, reward in enumerate(real):
            expected[min(step + delay, len(real) - 1)] += reward
        np.testing.assert_allclose(late, expected, rtol=1e-5, atol=1e-5)


@given(lengths=episodes, seed=seeds, period=st.integers(0, 4))
def test_accumulated_rewards_are_paid_by_period_and_at_the_end(lengths, seed, period, specs_with):
    step_types, rewards = lifetime_of(lengths, seed)
    shown = paid(AccumulatedRewards(specs_with(), period), step_types, rewards)
    for real, summed in zip(by_episode(lengths, rewards), by_episode(lengths, shown), strict=True):
        last = len(real) - 1
        pays = [step for step in range(1, last + 1) if step == last or (period and step % period == 0)]
        expected, begin = np.zeros(len(real)), 0
        for step in pays:
            expected[step], begin = real[begin : step + 1].sum(), step + 1
        np.testing.assert_allclose(summed, expected, rtol=1e-5, atol=1e-5)


def test_rewards_that_would_never_be_paid_are_refused(specs_with):
    with pytest.raises(InputError, match=r"reward_period=0.*never end"):
        AccumulatedRewards(specs_with(episodes_end=False), 0)
    AccumulatedRewards(specs_with(episodes_end=False), 5)


@given(seed=seeds, low=st.floats(0.01, 10), width=st.floats(1, 100), ends=st.lists(st.floats(-5, 5), max_size=2))
def test_rescaled_rewards_lie_between_the_ends(seed, low, width, ends, specs_with, timestep_of):
    inside, ends = specs_with(), sorted(ends)
    transform, timestep = RescaledRewards(inside, [low, low * width], ends, True), timestep_of(inside, seed)
    drawn = np.stack([transform.draw(GeneratorRandom(seed + row, transform.stream)) for row in range(5)])
    factors, offsets = drawn.T
    assert (np.abs(factors) >= low * (1 - 1e-5)).all() and (np.abs(factors) <= low * width * (1 + 1e-5)).all()
    least, most = (ends[0], ends[-1]) if ends else (0.0, 0.0)
    assert (offsets >= least - 1e-5).all() and (offsets <= most + 1e-5).all()
    outer = transform.outer_timestep(drawn, timestep)
    expected = np.where(timestep.step_type == FIRST, 0, factors * timestep.reward + offsets)
    np.testing.assert_allclose(outer.reward, expected, rtol=1e-5, atol=1e-5)
    inner_rewards = np.tile(timestep.reward[:, None], (1, 4))
    wanted = factors[:, None] * inner_rewards + offsets[:, None]
    np.testing.assert_allclose(transform.expected_rewards(drawn, inner_rewards), wanted, rtol=1e-5, atol=1e-5)


def test_one_number_is_no_draw(specs_with):
    transform = RescaledRewards(specs_with(), [10.0], [-1.0], False)
    draws = [transform.draw(GeneratorRandom(seed, transform.stream)) for seed in range(3)]
    np.testing.assert_array_equal(draws, [[10.0, -1.0]] * 3)
    assert transform.num_draws == 1
    assert RescaledRewards(specs_with(), [], [], True).num_draws == 2
    assert RescaledRewards(specs_with(), [1.0, 2.0], [], True).num_draws == np.inf


def test_either_sign_is_equally_likely(specs_with):
    transform = RescaledRewards(specs_with(), [], [], True)
    signs = np.array([transform.draw(GeneratorRandom(seed, transform.stream))[0] for seed in range(1000)])
    assert set(signs) == {-1.0, 1.0} and abs(signs.mean()) < 5 / np.sqrt(1000)


def test_a_teacher_applies_where_the_best_actions_stay_the_best(specs_with):
    drawn, inside = np.array([2.0, 1.0], np.float32), np.array([0.0, -1.0, -2.0, -1.0], np.float32)
    ending, endless = specs_with(), specs_with(episodes_end=False)
    for transform in (
        RescaledRewards(ending, [0.1, 10.0], [], False),
        RescaledRewards(endless, [2.0], [1.0], False),
        DelayedRewards(ending, 2),
        AccumulatedRewards(ending, 2),
    ):
        np.testing.assert_array_equal(transform.expected_advantages(drawn, inside), inside)
    for transform in (
        RescaledRewards(endless, [], [], True),
        RescaledRewards(ending, [], [1.0], False),
        FailureReward(ending),
    ):
        assert transform.expected_advantages(drawn, inside) is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"scale": [2.0, 1.0]}, r"reward_scale is \[2.0, 1.0\]: give one finite number, or two"),
        ({"scale": [0.0]}, r"reward_scale is \[0.0\]: factors must be above 0"),
        ({"offset": [1.0, 2.0, 3.0]}, r"reward_offset is \[1.0, 2.0, 3.0\]: give one"),
        ({"offset": [float("inf")]}, r"reward_offset is \[inf\]: give one finite"),
    ],
)
def test_other_scales_and_offsets_are_named_by_key(keys, message, specs_with):
    with pytest.raises(InputError, match=message):
        RescaledRewards(specs_with(), **({"scale": [], "offset": [], "flips_sign": False} | keys))
