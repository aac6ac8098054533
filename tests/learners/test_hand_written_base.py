"""The hand-written base of several horizons against plain NumPy, and what its values know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.learners.hand_written_base import BASE_RULES, init_base, learn_base, shared_policy
from podmeta.learners.online_rule import Transition, no_deviations
from tests.learners.scripted_lifetimes import assert_close, draw_lifetime

NUM_STEPS = 40
RULE = BASE_RULES["multi_horizon"]


def transitions_of(script):
    """The transitions of a scripted lifetime [num_steps, ...], as a uniform policy would have seen them."""
    observations = np.append(script.observation, np.ones((len(script.observation), 1)), axis=1).astype(np.float32)
    num_actions = script.previous_action.shape[1]
    return Transition(
        features=observations[:-1],
        score=(script.previous_action[1:] - 1.0 / num_actions)[..., None].astype(np.float32),
        next_features=observations[1:],
        reward=script.reward[1:],
        episode_start=script.episode_start[1:],
        is_known=np.ones(len(observations) - 1, bool),
    )


@jax.jit
def lifetime_of_base(transitions):
    """The shared weights and the mean TD error after every transition."""

    def step(carry, transition):
        base, num_steps = carry
        base, error = learn_base(RULE, no_deviations(), base, transition, num_steps)
        return (base, num_steps + 1.0), (shared_policy(RULE, base).weights[..., 0], error)

    num_inputs, num_actions = transitions.features.shape[1], transitions.score.shape[1]
    base = init_base(RULE, num_inputs, num_actions, 1)
    return jax.lax.scan(step, (base, jnp.ones(())), transitions)[1]


def plain_lifetime(transitions):
    """The same by one loop for each member, over plain NumPy arrays."""
    all_weights, all_errors = [], []
    for member in RULE.members:
        num_inputs, num_actions = transitions.features.shape[1], transitions.score.shape[1]
        weights, trace, mean_square = (np.zeros((num_inputs, num_actions)) for _ in range(3))
        value, value_trace = np.zeros(2 * num_inputs), np.zeros(2 * num_inputs)
        decay, gradients, pays, pay, last_pay = member.discount * member.trace_decay, 0, 0, 0.0, None
        history = []
        for n, (last, score, features, reward, start, _) in enumerate(zip(*transitions, strict=True), start=1):
            if last_pay is not None and not start:
                pays += 1
                pay += (last_pay - pay) / min(pays, 200)
            last_pay = None if start else reward
            constant = pay / (1 - member.discount)
            before, after = np.append(last, last**2), np.append(features, features**2)
            target = 0.0 if start else reward + member.discount * (after @ value + constant)
            error = target - (before @ value + constant)
            if not start:
                trace = decay * trace + np.outer(last, score)
                gradient = error * trace
                if gradients or np.any(gradient):
                    gradients += 1
                    kept = member.mean_square_decay
                    mean_square = kept * mean_square + (1 - kept) * gradient**2
                    root = np.sqrt(mean_square / (1 - kept**gradients) + 1e-20)
                    weights = weights + member.step_size * max(n / 100, 1) ** -member.annealing * gradient / (
                        root + 1e-6
                    )
            else:
                gradients += gradients > 0
                mean_square = member.mean_square_decay * mean_square
                trace = 0 * trace
            value_trace = decay * value_trace + before
            length = max(before @ before, after @ after, (1 - decay) ** 2 * value_trace @ value_trace, 1.0)
            value = value + member.value_step_size * error * value_trace / length
            if start:
                value_trace = 0 * value_trace
            history.append((weights, error))
        all_weights.append([weights for weights, _ in history])
        all_errors.append([error for _, error in history])
    return np.mean(all_weights, axis=0), np.mean(all_errors, axis=0)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_the_members_learn_apart_and_act_together(seed):
    transitions = transitions_of(draw_lifetime(3, 2, NUM_STEPS, seed=seed))
    weights, errors = lifetime_of_base(transitions)
    plain_weights, plain_errors = plain_lifetime(transitions)
    assert_close(errors, plain_errors, atol=1e-4)
    assert_close(weights, plain_weights, atol=1e-3)


@pytest.mark.parametrize("pay", [1.0, -1.0])
def test_the_end_of_an_episode_counts_at_once_where_every_step_pays_the_same(pay):
    """Nothing is observed but a constant, so that only the mean reward can tell the end from any other step."""
    num_steps, episode = 60, 10
    starts = (np.arange(1, num_steps + 1) % episode == 0).astype(np.float32)
    transitions = Transition(
        features=np.zeros((num_steps, 2), np.float32),
        score=np.zeros((num_steps, 2, 1), np.float32),
        next_features=np.zeros((num_steps, 2), np.float32),
        reward=np.float32(pay) * (1 - starts),
        episode_start=starts,
        is_known=np.ones(num_steps, bool),
    )
    _, errors = lifetime_of_base(transitions)
    expected = -pay * np.mean([1 / (1 - member.discount) for member in RULE.members])
    assert_close(errors[starts > 0], np.full(num_steps // episode, expected), atol=1e-3)
    assert_close(errors[2:][starts[2:] == 0], np.zeros(int((starts[2:] == 0).sum())), atol=1e-4)


def test_the_mean_reward_leaves_out_what_ends_an_episode():
    num_steps, episode = 60, 10
    starts = (np.arange(1, num_steps + 1) % episode == 0).astype(np.float32)
    at_goal = np.roll(starts, -1)  # the reward before an episode's start
    nothing = np.zeros((num_steps, 2), np.float32)
    transitions = Transition(nothing, nothing[..., None], nothing, at_goal, starts, np.ones(num_steps, bool))
    _, errors = lifetime_of_base(transitions)
    assert_close(errors, at_goal, atol=1e-6)
