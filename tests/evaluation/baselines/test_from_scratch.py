"""Ordinary RL from scratch: it learns in lifetimes of any length."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.schema import ContextualBanditConfig
from podmeta.evaluation.baselines.from_scratch import ALGORITHMS, LONGEST_UNROLL, rollout_from_scratch, unroll_length
from podmeta.evaluation.rollouts import outer_fifths
from podmeta.evaluation.statistics import mean_interval

KEYS = jax.random.split(jax.random.key(0), 16)


def live(algorithm, lifetime_length):
    environment = ContextualBanditConfig(num_contexts=2, num_actions=3, lifetime_length=lifetime_length)
    lifetimes = rollout_from_scratch(algorithm, environment, KEYS)
    assert lifetimes.rewards.shape == lifetimes.regrets.shape == (16, lifetime_length)
    return lifetimes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ordinary_rl_learns_in_a_lifetime_of_prime_length_as_in_one_of_an_env_step_more(algorithm):
    """499 is prime: what is learned in a lifetime must not depend on what divides its length."""
    prime, even = (outer_fifths(live(algorithm, length)) for length in (499, 500))
    gain = mean_interval(prime[1] - prime[0])
    assert gain.low > 0
    difference = mean_interval(prime[1] - even[1])
    assert difference.low <= 0 <= difference.high
    assert difference.high - difference.low < 0.5 * gain.mean


@pytest.mark.parametrize("lifetime_length", [1, 7])
def test_short_lifetimes_are_lived_to_their_end(lifetime_length):
    assert np.isfinite(live("a2c", lifetime_length).rewards).all()


@given(lifetime_length=st.integers(1, 10_000))
def test_unrolls_are_never_of_one_env_step_and_a_lifetime_has_several(lifetime_length):
    unroll = unroll_length(lifetime_length)
    assert 2 <= unroll <= LONGEST_UNROLL
    assert lifetime_length < 16 or lifetime_length // unroll >= 8
