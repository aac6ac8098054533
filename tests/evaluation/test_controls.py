"""Controls: what they do, and that they meet the tasks of the learner they are controls of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import ContextualBanditConfig, GymnaxConfig, SymmetricConfig
from podmeta.evaluation.controls import alternating_inner_loop, deprived_inner_loop, random_inner_loop
from podmeta.evaluation.from_scratch import ALGORITHMS, live_from_scratch
from podmeta.lifetimes import build_inner_loop

ENVIRONMENT = ContextualBanditConfig(num_contexts=3, num_actions=4, lifetime_length=24)
LEARNER = SymmetricConfig(hidden_size=4, message_size=2)


@pytest.fixture(scope="module")
def meta_params():
    return build_inner_loop(LEARNER, ENVIRONMENT).init(jax.random.key(0))


def live(inner_loop, meta_params):
    return jax.jit(inner_loop.live)(meta_params, jax.random.key(1))


def test_alternation_takes_one_action_after_the_other():
    experience = live(alternating_inner_loop(ENVIRONMENT), None)
    np.testing.assert_array_equal(experience.action, np.arange(24) % 4)


def test_alternation_in_a_box_takes_one_end_and_then_the_other():
    experience = live(alternating_inner_loop(GymnaxConfig(id="Pendulum-v1", lifetime_length=8)), None)
    np.testing.assert_allclose(experience.action[:, 0], [1, -1] * 4, atol=0.1)


def test_a_random_policy_prefers_nothing():
    policy = live(random_inner_loop(ENVIRONMENT), None).learner_output.policy
    assert np.ptp(policy) == 0


@pytest.mark.parametrize(("what", "other"), [("observation", "reward"), ("reward", "observation")])
def test_a_deprived_learner_is_shown_zeros_and_nothing_else_is_changed(what, other, meta_params):
    """Its policies are those of the learner itself on the inputs it was shown."""
    deprived = live(deprived_inner_loop(LEARNER, ENVIRONMENT, what), meta_params)
    whole = build_inner_loop(LEARNER, ENVIRONMENT)
    shown = deprived.learner_input._replace(**{what: jnp.zeros_like(getattr(deprived.learner_input, what))})
    assert np.any(getattr(shown, other))
    birth = whole.birth(meta_params, jax.random.key(1))

    def step(state, learner_input):
        output, state = whole.step(meta_params, state, learner_input)
        return state, output.policy

    policies = jax.lax.scan(step, birth.learner_state, shown)[1]
    np.testing.assert_allclose(deprived.learner_output.policy, policies, atol=1e-5)


def test_all_meet_the_same_tasks(meta_params):
    key = jax.random.key(3)
    loops = [
        build_inner_loop(LEARNER, ENVIRONMENT),
        random_inner_loop(ENVIRONMENT),
        alternating_inner_loop(ENVIRONMENT),
        deprived_inner_loop(LEARNER, ENVIRONMENT, "reward"),
    ]
    tasks = [loop.birth(meta_params, key).task.rewards for loop in loops]
    for task in tasks[1:]:
        np.testing.assert_array_equal(task, tasks[0])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ordinary_rl_learns_within_a_long_enough_lifetime(algorithm):
    environment = ContextualBanditConfig(num_contexts=2, num_actions=3, lifetime_length=1600)
    rewards = live_from_scratch(algorithm, environment, jax.random.split(jax.random.key(0), 16)).rewards
    assert rewards.shape == (16, 1600)
    first, last = rewards[:, :320].mean(), rewards[:, -320:].mean()
    assert last > first + 0.2
