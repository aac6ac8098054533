"""The hand-written learners against plain NumPy, and what they learn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podmeta.config.schema import OnlineActorCriticConfig, OnlineReinforceConfig
from podmeta.errors import InputError
from podmeta.learners.base import LearnerInput
from podmeta.learners.online_rule import (
    RuleNumbers,
    Transition,
    init_value,
    learn_value,
    no_deviations,
    rule_numbers,
    td_error,
)
from podmeta.learners.registry import make_learner
from tests.learners.scripted_lifetimes import assert_close, compiled_rollout, draw_lifetime

NUM_STEPS = 40
CONFIGS = {
    "online_actor_critic": OnlineActorCriticConfig(annealing=0.3),
    "online_reinforce": OnlineReinforceConfig(),
}


def plain_lifetime(config, script):
    """The policy's parameters [num_steps, num_actions, 1] of a lifetime, by one loop over plain NumPy arrays."""
    num_inputs, num_actions = script.observation.shape[1] + 1, script.previous_action.shape[1]
    weights, trace, mean_square = (np.zeros((num_inputs, num_actions)) for _ in range(3))
    value, value_trace, last = (np.zeros(num_inputs) for _ in range(3))
    logits, largest = np.zeros(num_actions), np.zeros(num_inputs - 1)
    count, rewards, reward_mean, largest_deviation = 0, [], 0.0, 0.0
    policies = []
    for n, (observation, action, reward, start) in enumerate(zip(*script[:4], strict=True)):
        largest = np.maximum(largest, np.abs(observation))
        features = np.append(observation / np.where(largest > 0, largest, 1), 1.0)
        centred = 0.0
        if start == 0:
            deviation = reward - reward_mean if rewards else 0.0
            largest_deviation = max(largest_deviation, abs(deviation))
            rewards.append(reward)
            reward_mean += (reward - reward_mean) / min(len(rewards), 200)
            centred = deviation / largest_deviation if largest_deviation else 0.0
            reward = reward / max(np.abs(rewards)) if np.any(rewards) else 0.0
        if n > 0:
            probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
            target = 0.0 if start else reward + config.discount * features @ value
            error = target - last @ value
            if start == 0:
                trace = config.trace_decay * config.discount * trace + np.outer(last, action - probabilities)
                gradient = (error if isinstance(config, OnlineActorCriticConfig) else centred) * trace
            else:
                gradient, trace = np.zeros_like(trace), np.zeros_like(trace)
            if count or np.any(gradient):
                count += 1
                mean_square = config.mean_square_decay * mean_square + (1 - config.mean_square_decay) * gradient**2
                size = np.sqrt(mean_square / (1 - config.mean_square_decay**count)) + 1e-6
                weights = weights + config.step_size / max(n / 100, 1) ** config.annealing * gradient / size
            value_trace = config.trace_decay * config.discount * value_trace + last
            mean_features = (1 - config.trace_decay * config.discount) * value_trace
            longest = max(at @ at for at in (last, features, mean_features))
            value = value + config.value_step_size * error * value_trace / max(longest, 1.0)
            value_trace = np.zeros(num_inputs) if start else value_trace
        last, logits = features, features @ weights
        policies.append(logits[:, None])
    return np.array(policies)


@pytest.fixture(scope="module", params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def program(config):
    """script -> the policies of a lifetime, compiled once for all tests of a learner."""
    learner = make_learner(config, (3,), 2, 1)
    meta_params = learner.init(jax.random.key(0))
    state = learner.initial_state(meta_params, jax.random.key(0))
    rollout = compiled_rollout(learner.step)
    return lambda script: rollout(meta_params, state, script)[0].policy


def lifetime(seed):
    return draw_lifetime(3, 2, NUM_STEPS, centred=False, seed=seed)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_a_lifetime_is_that_of_plain_numpy(config, program, seed):
    script = lifetime(seed)
    policies = program(script)
    assert_close(policies, plain_lifetime(config, script), atol=2e-3)
    assert np.ptp(policies) > 0.05


@settings(max_examples=5)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 0.1, 10.0, 1e6]))
def test_the_units_of_rewards_and_observations_do_not_matter(program, seed, scale):
    script = lifetime(seed)
    scaled = script._replace(
        reward=np.float32(scale) * script.reward, observation=np.float32([2, 0.5, 8]) * script.observation
    )
    assert_close(program(scaled), program(script), atol=2e-3)


def test_without_rewards_the_policy_stays_uniform(program):
    script = lifetime(0)
    policies = program(script._replace(reward=np.zeros_like(script.reward)))
    np.testing.assert_array_equal(policies, np.zeros_like(policies))


@pytest.mark.parametrize("continuous", [False, True])
def test_it_learns_which_action_pays_in_which_context(config, continuous):
    """A contextual bandit: the observation's sign says which of two actions, or which end of a box, pays."""
    num_actions, channels = (1, 2) if continuous else (2, 1)
    learner = make_learner(config, (1,), num_actions, channels)
    meta_params = learner.init(jax.random.key(0))

    def live(key):
        def step(carry, step_key):
            state, context, action, reward, first = carry
            learner_input = LearnerInput(context[None], action, reward, first)
            output, state = learner.step(meta_params, state, learner_input)
            parameters = output.policy
            draw_key, context_key = jax.random.split(step_key)
            if continuous:
                noise = jax.random.normal(draw_key)
                action = jnp.clip(parameters[:, 0] + jnp.exp(jnp.clip(parameters[:, 1], -5, 5)) * noise, -1, 1)
                reward = context * action[0]
            else:
                chosen = jax.random.categorical(draw_key, parameters[:, 0])
                action, reward = jax.nn.one_hot(chosen, 2), jnp.where((chosen == 1) == (context > 0), 1.0, 0.0)
            context = jnp.where(jax.random.bernoulli(context_key), 1.0, -1.0)
            return (state, context, action, reward, jnp.zeros(())), reward

        state = learner.initial_state(meta_params, key)
        start = (state, jnp.ones(()), jnp.zeros(num_actions), jnp.zeros(()), jnp.ones(()))
        return jax.lax.scan(step, start, jax.random.split(key, 300))[1]

    rewards = jax.jit(jax.vmap(live))(jax.random.split(jax.random.key(1), 32))
    first, last = rewards[:, :30].mean(), rewards[:, -60:].mean()
    assert last > first + 0.2


@given(
    st.sampled_from(list(CONFIGS)),
    st.lists(st.floats(-2, 2), min_size=len(RuleNumbers._fields), max_size=len(RuleNumbers._fields)),
)
@example("online_actor_critic", [2.0] * len(RuleNumbers._fields))
def test_no_deviation_makes_the_rule_absurd(name, deviations):
    config = CONFIGS[name]
    numbers = rule_numbers(config, RuleNumbers(*map(jnp.float32, deviations)))
    assert numbers.step_size > 0
    assert 0 <= numbers.value_step_size <= 1 - numbers.trace_decay * numbers.discount
    assert 0 <= numbers.annealing <= 1
    for decay in (numbers.trace_decay, numbers.discount, numbers.mean_square_decay):
        assert 0 <= decay <= 1
    undeviated = rule_numbers(config, RuleNumbers(*(jnp.zeros(()) for _ in RuleNumbers._fields)))
    expected = {key: value for key, value in dataclasses.asdict(config).items() if key in RuleNumbers._fields}
    assert_close(undeviated._asdict(), expected)


def largest_value(numbers, features, rewards):
    """The largest magnitude of the value along a lifetime of one episode."""

    def step(value, at):
        last, features, reward = at
        transition = Transition(last, jnp.zeros((2, 1)), features, reward, jnp.zeros(()), jnp.bool_(True))
        value = learn_value(numbers, value, transition, td_error(numbers, value, transition))
        return value, jnp.dot(value.weights, features)

    features, rewards = jnp.asarray(features, jnp.float32), jnp.asarray(rewards, jnp.float32)
    _, values = jax.lax.scan(step, init_value(features.shape[1]), (features[:-1], features[1:], rewards))
    return np.abs(values).max()


@given(
    seed=st.integers(0, 1000),
    deviations=st.lists(st.floats(-2, 2), min_size=len(RuleNumbers._fields), max_size=len(RuleNumbers._fields)),
)
def test_no_deviation_lets_the_value_explode(seed, deviations):
    """Where rewards are at most 1, so are the values by 1 - γ; a wild one may be a few times that."""
    numbers = rule_numbers(OnlineActorCriticConfig(), RuleNumbers(*map(jnp.float32, deviations)))
    draws = np.random.default_rng(seed)
    features = np.append(draws.uniform(-1, 1, (400, 3)), np.ones((400, 1)), axis=1)
    assert largest_value(numbers, features, draws.choice([-1.0, 0.0, 1.0], 399)) < 10 / (1 - numbers.discount)


@pytest.mark.parametrize("num_features", [4, 64])
def test_observations_of_varying_length_do_not_let_the_value_explode(num_features):
    """Divided by the squared length of one time step's features, it went beyond every float."""
    numbers = rule_numbers(OnlineActorCriticConfig(), no_deviations())
    draws = np.random.default_rng(0)
    lengths = np.exp(draws.normal(size=(2000, 1)))
    features = np.append(lengths * draws.normal(size=(2000, num_features - 1)), np.ones((2000, 1)), axis=1)
    assert largest_value(numbers, features, draws.normal(size=1999)) < 1000


def test_a_step_with_which_td_may_diverge_is_refused():
    with pytest.raises(InputError, match=r"learner\.value_step_size=0\.5 is more than .*0\.202"):
        make_learner(OnlineActorCriticConfig(value_step_size=0.5), (3,), 2, 1)
