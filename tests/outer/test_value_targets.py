"""Targets and advantages of actor-critic: V-trace against a plain form, and what episode ends make of it."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import ActorCriticConfig
from podmeta.inner_loop import Experience
from podmeta.outer.value_targets import has_value, targets_and_advantages
from tests.outer.plain_vtrace import plain_vtrace


def scripted_experience(rewards, terminated, ended, ignored, follows_truncation) -> Experience:
    nothing = Experience(*[None] * len(Experience._fields))
    return nothing._replace(
        reward=jnp.array(rewards),
        discount=1.0 - jnp.array(terminated, jnp.float32),
        episode_end=jnp.array(ended, bool),
        action_ignored=jnp.array(ignored, bool),
        follows_truncation=jnp.array(follows_truncation, bool),
    )


@pytest.mark.parametrize(("td_lambda", "clip"), [(1.0, 1.0), (0.9, 1.0), (0.95, 2.0)])
@pytest.mark.parametrize("lifetime_end", [False, True])
def test_targets_equal_a_plain_vtrace_across_episodes(td_lambda, clip, lifetime_end):
    generator = np.random.default_rng(0)
    values, rewards = generator.normal(size=7), generator.normal(size=6)
    ratios = np.exp(generator.normal(size=6))
    config = ActorCriticConfig(unroll_length=6, discount=0.9, td_lambda=td_lambda, clip_ratio=clip)
    experience = scripted_experience(rewards, [0, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0] * 6)
    targets, advantages = targets_and_advantages(
        config, jnp.array(values), jnp.array(ratios), experience, jnp.array(lifetime_end)
    )
    discounts = np.full(6, 0.9)
    discounts[-1] *= not lifetime_end
    expected = plain_vtrace(values, rewards, discounts, ratios, td_lambda, clip)
    np.testing.assert_allclose(targets, expected[0], rtol=1e-5)
    np.testing.assert_allclose(advantages, expected[1], rtol=1e-4, atol=1e-5)
    assert has_value(config, experience).tolist() == [1.0] * 6


# Two episodes of two steps: the first terminates, the second is truncated; a reset follows each, and one step more.
EPISODES = scripted_experience(
    rewards=[10.0, 20.0, 0.0, 30.0, 40.0, 0.0, 50.0],
    terminated=[0, 1, 0, 0, 0, 0, 0],
    ended=[0, 1, 0, 0, 1, 0, 0],
    ignored=[0, 0, 1, 0, 0, 1, 0],
    follows_truncation=[0, 0, 0, 0, 0, 1, 0],
)
VALUES = jnp.arange(1.0, 9.0)


@pytest.mark.parametrize("td_lambda", [1.0, 0.5, 0.0])
def test_termination_ends_the_return_and_truncation_bootstraps_from_the_last_observation(td_lambda):
    config = ActorCriticConfig(discount=0.5, discount_across_episodes=False, td_lambda=td_lambda)
    targets, _ = targets_and_advantages(config, VALUES, jnp.ones(7), EPISODES, jnp.array(False))
    valued = has_value(config, EPISODES)
    assert valued.tolist() == [1, 1, 0, 1, 1, 1, 1]

    def expected(t):
        """The λ-return, by its recursion."""
        if t == 7:
            return 8.0
        if t in (1, 4):  # terminated; truncated, with the value of the last observation
            return {1: 20.0, 4: 40.0 + 0.5 * 6.0}[t]
        following = (1 - td_lambda) * VALUES[t + 1] + td_lambda * expected(t + 1)
        return following if t == 5 else EPISODES.reward[t] + 0.5 * following

    by_hand = [expected(t) for t in (0, 1, 3, 4, 5, 6)]
    np.testing.assert_allclose(targets[valued > 0], by_hand, rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("across_episodes", [False, True])
def test_nothing_is_bootstrapped_from_a_value_that_is_not_trained(across_episodes):
    config = ActorCriticConfig(discount=0.5, discount_across_episodes=across_episodes, td_lambda=0.5)

    def targets(config, values):
        return np.asarray(targets_and_advantages(config, values, jnp.ones(7), EPISODES, jnp.array(False))[0])

    for one in (config, dataclasses.replace(config, ppo_clip=0.2)):
        valued = np.asarray(has_value(one, EPISODES)) > 0
        for step in range(7):
            moved = targets(one, VALUES.at[step].add(1.0))
            changed = np.flatnonzero((moved != targets(one, VALUES)) & valued)
            assert valued[step] or changed.size == 0, step
