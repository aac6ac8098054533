"""The rows of a meta-test, against plain loops over what was lived."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.evaluation.meta_test import tabulate
from podmeta.evaluation.rollouts import Lifetimes, scored_by_failures


@st.composite
def lifetimes(draw):
    """Rewards, and episodes of which some end by failure and some by a time limit."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 13)))
    episode_ends = (generator.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))).astype(np.float32)
    terminations = episode_ends * generator.integers(0, 2, shape)
    return Lifetimes(generator.normal(size=shape).astype(np.float32), terminations, episode_ends, None)


def means(measured):
    return {row.metric: row.mean for row in tabulate("suite", {}, "environment", {"learner": measured})}


@given(lived=lifetimes())
def test_the_first_episode_returns_what_was_earned_until_it_ended(lived):
    earned = []
    for rewards, ends in zip(lived.rewards, lived.episode_ends, strict=True):
        total = 0.0
        for reward, end in zip(rewards, ends, strict=True):
            total += reward
            if end:
                break
        earned.append(total)
    if lived.episode_ends.any():
        assert means(lived)["first_episode_return"] == pytest.approx(np.mean(earned), abs=1e-5)
    else:
        assert "first_episode_return" not in means(lived)


@given(lived=lifetimes())
def test_an_episode_returns_the_mean_of_those_that_ended(lived):
    by_lifetime = []
    for rewards, ends in zip(lived.rewards, lived.episode_ends, strict=True):
        returns, total = [], 0.0
        for reward, end in zip(rewards, ends, strict=True):
            total += reward
            if end:
                returns.append(total)
                total = 0.0
        by_lifetime.append(np.mean(returns or [total]))
    found = means(lived)
    if lived.episode_ends.any():
        assert found["episode_return"] == pytest.approx(np.mean(by_lifetime), abs=1e-5)
    else:
        assert "episode_return" not in found


@pytest.mark.parametrize(("part", "number"), [("third", 3), ("fifth", 5)])
@given(lived=lifetimes())
def test_parts_are_rewards_per_env_step_at_both_ends_of_a_lifetime(part, number, lived):
    length = lived.rewards.shape[1]
    num_steps = max(1, length // number)
    in_order = [
        np.mean([rewards[step] for rewards in lived.rewards for step in steps])
        for steps in (range(num_steps), range(length - num_steps, length))
    ]
    found = means(lived)
    assert [found[f"reward_first_{part}"], found[f"reward_last_{part}"]] == pytest.approx(in_order, abs=1e-6)
    gain = found["reward_last_fifth"] - found["reward_first_fifth"]
    assert found["reward_gain"] == pytest.approx(gain, abs=1e-6)


@given(lived=lifetimes())
def test_totals_come_first_and_are_of_the_whole_lifetime(lived):
    found = means(lived)
    assert next(iter(found)) == "return"
    assert found["return"] == pytest.approx(lived.rewards.sum() / len(lived.rewards), abs=1e-5)
    assert found.get("terminations", 0) == lived.terminations.sum() / len(lived.terminations)
    assert "failures" not in found  # for nothing says that a termination is one


@given(lived=lifetimes())
def test_failures_come_first_where_they_are_all_that_costs(lived):
    found = means(lived._replace(rewards=-lived.terminations))
    assert next(iter(found)) == ("failures" if lived.terminations.any() else "return")
    assert found.get("failures", 0) == lived.terminations.sum() / len(lived.terminations)


@given(lived=lifetimes())
def test_scored_by_failures_every_figure_is_of_terminations_whatever_was_paid(lived):
    found = means(scored_by_failures(lived._replace(regrets=np.ones_like(lived.rewards))))
    assert next(iter(found)) == ("failures" if lived.terminations.any() else "return")
    assert found["return"] == -lived.terminations.sum() / len(lived.terminations)
    assert "regret" not in found
