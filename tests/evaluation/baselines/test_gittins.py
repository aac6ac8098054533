"""The Gittins index, against its definitions: the best rate over stopping rules, and the indifferent rival."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.evaluation.baselines.gittins import gittins_table

HORIZON = 40
ROUNDING = 1e-6


def index_of(successes, failures, pulls_left, horizon=HORIZON):
    return float(gittins_table(horizon).look_up(np.array([successes]), np.array([failures]), pulls_left)[0])


def pay_probability(successes, failures):
    return Fraction(successes + 1, successes + failures + 2)


def best_rate_by_enumeration(successes, failures, pulls_left):
    """The best expected reward per expected pull, over every rule that says in which states to go on."""
    later_states = [
        (successes + gained, failures + pulls - gained) for pulls in range(1, pulls_left) for gained in range(pulls + 1)
    ]

    def play(state, pulls_left, going_on):
        """Expected reward and expected pulls."""
        probability = pay_probability(*state)
        reward, pulls = probability, Fraction(1)
        for weight, child in (
            (probability, (state[0] + 1, state[1])),
            (1 - probability, (state[0], state[1] + 1)),
        ):
            if pulls_left > 1 and child in going_on:
                child_reward, child_pulls = play(child, pulls_left - 1, going_on)
                reward, pulls = reward + weight * child_reward, pulls + weight * child_pulls
        return reward, pulls

    rules = itertools.product((False, True), repeat=len(later_states))
    played = (play((successes, failures), pulls_left, set(itertools.compress(later_states, rule))) for rule in rules)
    return max(reward / pulls for reward, pulls in played)


def indifferent_rival(successes, failures, pulls_left):
    """Bisection on the rival that one would as soon take as this arm, in plain recursion."""

    @functools.cache
    def gain(successes, failures, pulls_left, rival):
        if pulls_left == 0:
            return 0.0
        probability = float(pay_probability(successes, failures))
        after_success = max(0.0, gain(successes + 1, failures, pulls_left - 1, rival))
        after_failure = max(0.0, gain(successes, failures + 1, pulls_left - 1, rival))
        return probability - rival + probability * after_success + (1 - probability) * after_failure

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(successes, failures, pulls_left, middle) > 0 else (low, middle)
    return low


def test_a_last_pull_is_worth_its_mean():
    """And 5/9 solves 1/2 - λ + 1/2 (2/3 - λ) = 0, the second pull being taken after a success alone."""
    assert index_of(0, 0, 1) == pytest.approx(1 / 2, abs=1e-4)
    assert index_of(3, 1, 1) == pytest.approx(4 / 6, abs=1e-4)
    assert index_of(0, 0, 2) == pytest.approx(5 / 9, abs=1e-4)


@pytest.mark.parametrize("pulls_left", [1, 2, 3, 4])
@pytest.mark.parametrize(("successes", "failures"), [(0, 0), (1, 0), (0, 2), (5, 3), (10, 1)])
def test_index_is_the_best_rate_of_all_stopping_rules(successes, failures, pulls_left):
    expected = float(best_rate_by_enumeration(successes, failures, pulls_left))
    assert index_of(successes, failures, pulls_left) == pytest.approx(expected, abs=5e-4)


@st.composite
def arms(draw):
    """A state that has room for one pull more and one fewer left."""
    pulls = draw(st.integers(0, HORIZON - 2))
    successes = draw(st.integers(0, pulls))
    return successes, pulls - successes, draw(st.integers(1, HORIZON - pulls - 1))


@given(arm=arms())
def test_index_is_the_indifferent_rival_and_errs_upwards(arm):
    error = index_of(*arm) - indifferent_rival(*arm)
    assert -ROUNDING < error < 1.5e-3


@given(arm=arms())
def test_index_rises_with_successes_and_pulls_left_and_falls_with_failures(arm):
    successes, failures, pulls_left = arm
    index = index_of(successes, failures, pulls_left)
    assert float(pay_probability(successes, failures)) - ROUNDING < index < 1
    assert index_of(successes + 1, failures, pulls_left) > index
    assert index_of(successes, failures + 1, pulls_left) < index
    assert index_of(successes, failures, pulls_left + 1) > index - ROUNDING


@given(arm=arms(), extra_horizon=st.integers(1, 5))
def test_index_depends_on_pulls_left_and_not_on_the_table(arm, extra_horizon):
    assert index_of(*arm, horizon=HORIZON + extra_horizon) == index_of(*arm)


def test_every_state_has_one_place_in_the_table():
    horizon = 12
    states = [
        (successes, pulls - successes, depth - pulls)
        for depth in range(1, horizon + 1)
        for pulls in range(depth)
        for successes in range(pulls + 1)
    ]
    table = gittins_table(horizon)
    assert len(states) == len(table.indices)
    looked_up = table.look_up(*np.array(states).T)
    np.testing.assert_array_equal(looked_up, table.indices)


@pytest.mark.parametrize("horizon", [6, 10])
def test_largest_index_is_all_but_optimal_for_two_arms(horizon):
    """Exact expected rewards, by dynamic programming over the counts of both arms."""

    def expected_reward(choose):
        @functools.cache
        def value(first, second):
            pulls_left = horizon - sum(first) - sum(second)
            if pulls_left == 0:
                return 0.0
            return choose(first, second, pulls_left, lambda arm: pull(arm, first, second))

        def pull(arm, *counts):
            successes, failures = counts[arm]
            probability = float(pay_probability(successes, failures))
            paid, unpaid = list(counts), list(counts)
            paid[arm], unpaid[arm] = (successes + 1, failures), (successes, failures + 1)
            return probability * (1 + value(*paid)) + (1 - probability) * value(*unpaid)

        return value((0, 0), (0, 0))

    def optimal(first, second, pulls_left, pull):
        return max(pull(0), pull(1))

    def gittins(first, second, pulls_left, pull):
        return pull(int(index_of(*second, pulls_left) > index_of(*first, pulls_left)))

    def greedy(first, second, pulls_left, pull):
        return pull(int(pay_probability(*second) > pay_probability(*first)))

    best = expected_reward(optimal)
    assert 0.9995 * best < expected_reward(gittins) <= best + 1e-9
    assert expected_reward(greedy) < 0.9995 * best
