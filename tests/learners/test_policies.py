"""Policies against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podmeta.learners.policies import make_policy, policy_score

NUM_SAMPLES = 20_000


def arrays(shape, bound):
    return hnp.arrays(np.float32, shape, elements=st.floats(-bound, bound, width=32)).map(jnp.asarray)


logits_of_four = arrays((4, 1), 8)
gaussian_of_three = arrays((3, 2), 3)
CATEGORICAL = make_policy(specs.DiscreteArray(4))
BOX = specs.BoundedArray((3,), np.float32, minimum=[-2.0, 0.0, 5.0], maximum=[2.0, 1.0, 15.0])
GAUSSIAN = make_policy(BOX)


def sample_many(policy, parameters):
    keys = jax.random.split(jax.random.key(0), NUM_SAMPLES)
    return np.asarray(jax.jit(jax.vmap(policy.sample, in_axes=(0, None)))(keys, parameters))


@given(logits_of_four)
def test_categorical_samples_come_as_often_as_their_probability_says(logits):
    counts = np.bincount(sample_many(CATEGORICAL, logits), minlength=4)
    probabilities = np.asarray(jax.nn.softmax(logits[:, 0]))
    standard_errors = np.sqrt(NUM_SAMPLES * probabilities * (1 - probabilities))
    assert counts.size == 4  # no action beyond the last
    np.testing.assert_array_less(np.abs(counts - NUM_SAMPLES * probabilities), 5 * standard_errors + 3)


def test_certain_actions_are_always_taken():
    for action in range(4):
        logits = jnp.where(jnp.arange(4) == action, 0.0, -1e9)[:, None]
        assert np.all(sample_many(CATEGORICAL, logits) == action)


@given(logits_of_four)
def test_categorical_log_prob_and_entropy(logits):
    log_probs = scipy.special.log_softmax(np.asarray(logits[:, 0], np.float64))
    np.testing.assert_allclose(CATEGORICAL.entropy(logits), scipy.stats.entropy(np.exp(log_probs)), atol=1e-5)
    for action in range(4):
        log_prob = CATEGORICAL.log_prob(logits, jnp.array(action))
        np.testing.assert_allclose(log_prob, log_probs[action], rtol=1e-5, atol=1e-5)


def test_categorical_actions_are_seen_one_hot_and_act_as_they_are():
    assert (CATEGORICAL.num_actions, CATEGORICAL.num_policy_channels) == (4, 1)
    np.testing.assert_array_equal(CATEGORICAL.encode(jnp.array(2)), [0, 0, 1, 0])
    assert CATEGORICAL.to_environment(jnp.array(2)) == 2


@given(gaussian_of_three, arrays(3, 3))
def test_gaussian_log_prob_and_entropy(parameters, action):
    oracle = scipy.stats.norm(parameters[:, 0], np.exp(np.asarray(parameters[:, 1], np.float64)))
    log_prob = np.sum(oracle.logpdf(action))
    np.testing.assert_allclose(GAUSSIAN.log_prob(parameters, action), log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(GAUSSIAN.entropy(parameters), np.sum(oracle.entropy()), atol=1e-4)


def test_gaussian_samples_have_the_distribution_of_their_parameters():
    parameters = jnp.array([[0.5, -1.0], [-2.0, 0.0], [0.0, 1.0]])
    samples = sample_many(GAUSSIAN, parameters)
    for component, (mean, log_std) in zip(samples.T, np.asarray(parameters), strict=True):
        assert scipy.stats.kstest((component - mean) / np.exp(log_std), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(samples.T) - np.eye(3)).max() < 0.05


def test_the_log_standard_deviation_is_kept_within_bounds():
    extreme = jnp.array([[0.0, 100.0], [0.0, -100.0], [0.0, 5.0]])
    clipped = jnp.array([[0.0, 5.0], [0.0, -5.0], [0.0, 5.0]])
    action = jnp.ones(3)
    np.testing.assert_array_equal(GAUSSIAN.log_prob(extreme, action), GAUSSIAN.log_prob(clipped, action))
    np.testing.assert_array_equal(GAUSSIAN.entropy(extreme), GAUSSIAN.entropy(clipped))
    key = jax.random.key(0)
    np.testing.assert_array_equal(GAUSSIAN.sample(key, extreme), GAUSSIAN.sample(key, clipped))


@given(arrays(3, 3))
def test_plus_and_minus_one_are_the_ends_of_the_bounds(action):
    acted, seen = np.asarray(GAUSSIAN.to_environment(action)), np.asarray(GAUSSIAN.encode(action))
    BOX.validate(acted.astype(np.float32))
    np.testing.assert_array_equal(seen, np.clip(action, -1, 1))
    np.testing.assert_allclose(acted, np.interp(seen, [-1, 1], [0, 1]) * (BOX.maximum - BOX.minimum) + BOX.minimum)


@pytest.mark.filterwarnings("error")
def test_components_without_bounds_act_as_they_are():
    box = specs.BoundedArray((3,), np.float32, minimum=[-np.inf, -np.inf, -2.0], maximum=[np.inf, np.inf, 2.0])
    policy = make_policy(box)
    assert (policy.num_actions, policy.num_policy_channels) == (3, 2)
    np.testing.assert_array_equal(policy.to_environment(jnp.array([7.0, 5.0, 1.0])), [7.0, 5.0, 2.0])


ends = st.one_of(
    st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
    st.sampled_from([np.inf, float(np.finfo(np.float32).max)]),
)


@given(
    st.lists(st.tuples(ends, ends), min_size=1, max_size=4),
    st.lists(st.floats(width=32, allow_subnormal=False), min_size=4, max_size=4),
)
def test_an_action_is_never_outside_a_bound_that_is_there(bounds, outputs):
    minimum = np.array([-abs(a) if np.isinf(a) else min(a, b) for a, b in bounds], np.float32)
    maximum = np.array([abs(b) if np.isinf(b) else max(a, b) for a, b in bounds], np.float32)
    maximum = np.maximum(minimum, maximum)
    policy = make_policy(specs.BoundedArray((len(bounds),), np.float32, minimum, maximum))
    action = jnp.nan_to_num(jnp.array(outputs[: len(bounds)], jnp.float32))
    taken = np.asarray(policy.to_environment(action))
    assert (taken >= minimum).all() and (taken <= maximum).all()


def test_a_half_bounded_action_moves_freely_on_its_open_side():
    policy = make_policy(specs.BoundedArray((2,), np.float32, [2.0, -np.inf], [np.inf, -3.0]))
    np.testing.assert_allclose(policy.to_environment(jnp.array([50.0, -50.0])), [52.0, -53.0], rtol=1e-6)
    near = np.asarray(policy.to_environment(jnp.array([-3.0, 3.0])))
    assert 2.0 < near[0] < 2.1 and -3.1 < near[1] < -3.0


@given(logits_of_four, st.integers(0, 3))
def test_the_score_of_a_categorical_is_the_gradient_of_its_log_probability(logits, action):
    action = jnp.int32(action)
    gradient = jax.grad(CATEGORICAL.log_prob)(logits, action)
    np.testing.assert_allclose(policy_score(logits, CATEGORICAL.encode(action)), gradient, atol=1e-5)


@given(gaussian_of_three, arrays((3,), 1))
def test_the_score_of_a_gaussian_is_its_gradient_in_units_of_the_standard_deviation(parameters, action):
    std = np.exp(np.asarray(parameters[:, 1]))
    gradient = np.asarray(jax.grad(GAUSSIAN.log_prob)(parameters, action))
    score = np.asarray(policy_score(parameters, action))
    distance = np.abs(np.asarray(action - parameters[:, 0])) / std
    within = distance < 3.0
    np.testing.assert_allclose(score[within, 0], (gradient[:, 0] * std)[within], atol=1e-3)
    np.testing.assert_allclose(score[within, 1], gradient[within, 1], atol=1e-3)
    np.testing.assert_allclose(np.abs(score[~within, 0]), 3.0)
