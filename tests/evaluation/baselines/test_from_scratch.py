"""Ordinary RL from scratch: it learns in lifetimes of any length."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.schema import ContextualBanditConfig, GymnasiumConfig, GymnaxConfig
from podmeta.evaluation import on_host
from podmeta.evaluation.baselines.from_scratch import ALGORITHMS, LONGEST_UNROLL, rollout_from_scratch, unroll_length
from podmeta.evaluation.rollouts import outer_fifths
from podmeta.evaluation.statistics import mean_interval

KEYS = jax.random.split(jax.random.key(0), 16)


def live(algorithm, lifetime_length):
    environment = ContextualBanditConfig(num_contexts=2, num_actions=3, lifetime_length=lifetime_length)
    lifetimes = rollout_from_scratch(algorithm, environment, KEYS)
    assert lifetimes.rewards.shape == lifetimes.regrets.shape == (16, lifetime_length)
    return lifetimes


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ordinary_rl_learns_in_a_lifetime_of_prime_length_as_in_one_of_an_env_step_more(algorithm):
    """499 is prime: what is learned in a lifetime must not depend on what divides its length."""
    prime, even = (outer_fifths(live(algorithm, length)) for length in (499, 500))
    gain = mean_interval(prime[1] - prime[0])
    assert gain.low > 0
    difference = mean_interval(prime[1] - even[1])
    assert difference.low <= 0 <= difference.high
    assert difference.high - difference.low < 0.5 * gain.mean


@pytest.mark.long
@pytest.mark.parametrize("lifetime_length", [1, 7])
def test_short_lifetimes_are_lived_to_their_end(lifetime_length):
    assert np.isfinite(live("a2c", lifetime_length).rewards).all()


@given(lifetime_length=st.integers(1, 10_000))
def test_unrolls_are_never_of_one_env_step_and_a_lifetime_has_several(lifetime_length):
    unroll = unroll_length(lifetime_length)
    assert 2 <= unroll <= LONGEST_UNROLL
    assert lifetime_length < 16 or lifetime_length // unroll >= 8


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_on_the_host_it_is_what_it_is_in_a_program(algorithm, monkeypatch):
    """In CartPole, of gymnasium on the host and of gymnax: as good at the beginning and at the end."""
    config = GymnasiumConfig(id="CartPole-v1", failure_reward=True, lifetime_length=200)
    monkeypatch.setattr(on_host, "MOST_ENVIRONMENTS", 8)
    lifetimes = rollout_from_scratch(algorithm, config, KEYS)
    assert lifetimes.rewards.shape == lifetimes.terminations.shape == (16, 200) and lifetimes.regrets is None
    np.testing.assert_array_equal(lifetimes.rewards, -lifetimes.terminations)
    compiled = GymnaxConfig(id="CartPole-v1", failure_reward=True, lifetime_length=200)
    in_program = rollout_from_scratch(algorithm, compiled, KEYS)
    for part, other in zip(outer_fifths(lifetimes), outer_fifths(in_program), strict=True):
        difference = mean_interval(part - other)
        assert abs(difference.mean) < 3 * (difference.high - difference.mean)


@pytest.mark.long
def test_on_the_host_a_lifetime_depends_on_its_key_alone():
    config = GymnasiumConfig(id="CartPole-v1", failure_reward=True, lifetime_length=35)
    together = rollout_from_scratch("a2c", config, KEYS[:3])
    alone = rollout_from_scratch("a2c", config, KEYS[1:2])
    assert together.rewards.shape == (3, 35)
    before_updates = unroll_length(35)  # the sizes of batches may change the last bit of an update
    same = together.terminations[1] == alone.terminations[0]
    assert same[:before_updates].all()
