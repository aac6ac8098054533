"""The symmetric learner's options: the fast form against the plain one, sizes, symmetries, and what they do."""

import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podmeta.benchmarks.plain_symmetric import plain_step
from podmeta.config.schema import SymmetricConfig
from podmeta.errors import InputError
from podmeta.learners.hand_written_base import BASE_RULES
from podmeta.learners.linear import LowRankMatrix
from podmeta.learners.normalisation import NormalisedState, with_normalised_rewards
from podmeta.learners.online import make_online_actor_critic
from podmeta.learners.online_rule import RuleNumbers
from podmeta.learners.registry import make_learner
from podmeta.learners.symmetric import make_symmetric_learner
from tests.learners.scripted_lifetimes import (
    assert_close,
    compiled_rollout,
    draw_lifetime,
    draw_meta_params,
    rollout,
)

NUM_STEPS = 12
OPTIONS = {
    "normalise_rewards": [False, True],
    "pair_inputs": [False, True],
    "pair_traces": [[], [0.8, 0.95]],
    "effect_inputs": [False, True],
    "policy_input": [False, True],
    "constant_observation": [False, True],
    "multiplicative_readout": [False, True],
    "critic": [False, True],
    "input_bias": [0.0, -1.0],
    "base": ["none", "actor_critic", "multi_horizon"],
}
sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))  # A, B, policy channels


@st.composite
def configs(draw):
    options = {name: draw(st.sampled_from(values)) for name, values in OPTIONS.items()}
    return SymmetricConfig(
        hidden_size=draw(st.integers(1, 4)),
        message_size=draw(st.integers(2, 4)),
        num_micro_ticks=draw(st.integers(1, 2)),
        aggregation=draw(st.sampled_from(["mean", "sum", "sum_forward"])),
        episode_start_input=draw(st.booleans()),
        adaptive_base=options["base"] != "none" and draw(st.booleans()),
        **options,
    )


def with_all(**changed):
    """All options at once, but for those that `changed` sets."""
    options = {name: values[-1] for name, values in OPTIONS.items()} | {"adaptive_base": True}
    return SymmetricConfig(**{"hidden_size": 3, "message_size": 3, **options, **changed})


def make(config, size):
    """A learner, a θ that hides nothing, the state at the start of a lifetime, and the inputs of one."""
    learner = make_learner(config, (size[0],), *size[1:])
    meta_params = draw_meta_params(learner)
    # Numbers of the rule are exponents: small ones keep it stable.
    meta_params = {
        module: {name: leaf if leaf.ndim else 0.1 * leaf for name, leaf in leaves.items()}
        for module, leaves in meta_params.items()
    }
    script = draw_lifetime(*size[:2], NUM_STEPS, continuous=size[2] == 2, centred=False)
    return learner, meta_params, learner.initial_state(meta_params, jax.random.key(0)), script


def plain_form(config, num_policy_channels):
    step = functools.partial(plain_step, config, num_policy_channels)
    plain = make_symmetric_learner(config, 1, 1, num_policy_channels)._replace(step=step)
    return with_normalised_rewards(plain).step if config.normalise_rewards else plain.step


@pytest.mark.long
@settings(max_examples=4)
@example(with_all(), (3, 2, 1))
@example(with_all(num_micro_ticks=2, aggregation="sum"), (2, 3, 2))
@given(configs(), sizes)
def test_the_fast_form_is_the_plain_form(config, size):
    learner, meta_params, state, script = make(config, size)
    steps = (learner.step, plain_form(config, size[2]))
    both = jax.jit(lambda *arguments: [rollout(step, *arguments) for step in steps])
    actual, expected = both(meta_params, state, script)
    assert_close(actual, expected, atol=1e-4)


@settings(max_examples=10)
@given(configs(), sizes, sizes)
def test_meta_params_have_the_same_shapes_for_every_size(config, size, other_size):
    shapes = [jax.eval_shape(make_symmetric_learner(config, *s).init, jax.random.key(0)) for s in (size, other_size)]
    assert shapes[0] == shapes[1]


@pytest.mark.long
@settings(max_examples=4)
@example(with_all(), (3, 3, 1), random.Random(1))
@example(with_all(), (3, 3, 2), random.Random(2))
@given(configs(), sizes, st.randoms(use_true_random=False))
def test_permutations_of_observations_and_actions_permute_the_lifetime_with_them(config, size, shuffler):
    learner, meta_params, state, script = make(config, size)
    of_observation, of_action = (shuffler.sample(range(width), width) for width in size[:2])
    permuted = script._replace(
        observation=script.observation[:, of_observation], previous_action=script.previous_action[:, of_action]
    )
    program = compiled_rollout(learner.step)
    outputs, _ = program(meta_params, state, script)
    permuted_outputs, _ = program(meta_params, state, permuted)
    assert_close(permuted_outputs.policy, outputs.policy[:, of_action], atol=1e-4)


@pytest.mark.parametrize("name", ["pair_inputs", "pair_traces", "effect_inputs", "policy_input", "critic", "base"])
def test_each_option_makes_a_difference_that_depends_on_the_last_action(name):
    config = SymmetricConfig(hidden_size=3, message_size=3, **{name: OPTIONS[name][-1]})
    learner, meta_params, state, script = make(config, (3, 2, 1))
    # With the action's own channel silent, only the option can tell what was done.
    silent = meta_params["symmetric"] | {"descending": np.array(meta_params["symmetric"]["descending"])}
    if name != "policy_input":
        silent["descending"][3 + 2 + (name in ("critic", "base"))] = 0.0
    other = script._replace(previous_action=script.previous_action[:, ::-1])
    program = compiled_rollout(learner.step)
    outputs, others = (program(meta_params | {"symmetric": silent}, state, inputs)[0] for inputs in (script, other))
    differs = np.ptp(outputs.policy - others.policy) > 1e-4
    assert differs == (name != "critic")  # a critic sees what was earned, not what was done


def test_without_lstms_the_base_is_the_hand_written_rule():
    config = with_all(adaptive_base=False, base="actor_critic")
    learner, meta_params, state, script = make(config, (3, 2, 1))
    zeroed = jax.tree.map(np.zeros_like, meta_params)
    outputs, _ = compiled_rollout(learner.step)(zeroed, state, script)

    (member,) = BASE_RULES["actor_critic"].members
    rule = make_online_actor_critic(member, 3, 2, 1)
    theta = rule.init(jax.random.key(0))
    expected, _ = compiled_rollout(rule.step)(theta, rule.initial_state(theta, jax.random.key(0)), script)
    assert_close(outputs.policy, expected.policy)
    assert np.ptp(outputs.policy) > 0.1


@pytest.mark.parametrize("scale", [1e-6, 10.0, 1e6])
def test_the_unit_of_rewards_does_not_matter(scale):
    learner, meta_params, state, script = make(with_all(), (3, 2, 1))
    program = compiled_rollout(learner.step)
    outputs, _ = program(meta_params, state, script)
    scaled, _ = program(meta_params, state, script._replace(reward=np.float32(scale) * script.reward))
    assert np.isfinite(scaled.policy).all()
    assert_close(scaled.policy, outputs.policy, atol=1e-3)


@pytest.mark.parametrize("rewards", ["none", "constant"])
@pytest.mark.parametrize("observations", ["none", "constant"])
def test_tasks_that_show_nothing_keep_every_number_finite(rewards, observations):
    learner, meta_params, state, script = make(with_all(scale_observations=True), (3, 2, 1))
    script = script._replace(
        reward=np.full_like(script.reward, rewards == "constant"),
        observation=np.full_like(script.observation, 7.0 * (observations == "constant")),
    )
    outputs, final_state = compiled_rollout(learner.step)(meta_params, state, script)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((outputs, final_state)))


@pytest.mark.long
@pytest.mark.parametrize("size", [(3, 2, 1), (2, 3, 2)])
def test_gradients_through_a_lifetime_are_finite(size):
    learner, meta_params, state, script = make(with_all(), size)

    def loss(meta_params):
        return jnp.sum(rollout(learner.step, meta_params, state, script)[0].policy ** 2)

    gradient = jax.jit(jax.grad(loss))(jax.tree.map(jnp.asarray, meta_params))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    silent = {name for name, leaf in gradient["symmetric"].items() if not np.any(leaf)}
    numbers = {f"base_{name}" for name in RuleNumbers._fields}
    # No gradient flows through the hand-written rule, nor into the LSTMs' share and its fade.
    assert silent == numbers | {"base_setting", "readout_share", "readout_fade"}


def test_a_low_rank_perturbation_is_the_matrix_it_stands_for():
    learner, meta_params, state, script = make(with_all(), (3, 2, 1))
    generator = np.random.default_rng(0)

    def factored(leaf):
        if leaf.ndim != 2:
            return leaf
        left, right = (jnp.asarray(0.1 * generator.normal(size=(n, 2)), jnp.float32) for n in leaf.shape)
        return LowRankMatrix(jnp.asarray(leaf), left, right)

    def whole(leaf):
        return leaf.base + leaf.left @ leaf.right.T if isinstance(leaf, LowRankMatrix) else leaf

    perturbed = jax.tree.map(factored, meta_params)
    materialised = jax.tree.map(whole, perturbed, is_leaf=lambda leaf: isinstance(leaf, LowRankMatrix))
    program = compiled_rollout(learner.step)
    assert_close(program(perturbed, state, script)[0], program(materialised, state, script)[0], atol=1e-4)


def test_the_share_of_the_lstms_fades_and_the_base_stays():
    learner, meta_params, state, script = make(with_all(adaptive_base=False), (3, 2, 1))
    fading = {
        **meta_params,
        "symmetric": meta_params["symmetric"] | {"readout_fade": np.float32(4.0), "readout_share": np.float32(0.0)},
    }
    program = compiled_rollout(learner.step)
    outputs = {}
    for num_steps in (0.0, 1e6):
        memory = state.inner.memory._replace(num_steps=jnp.float32(num_steps))
        later = NormalisedState(state.rewards, state.inner._replace(memory=memory))
        outputs[num_steps] = np.abs(program(fading, later, script)[0].policy[0]).max()
    assert outputs[1e6] < 0.01 * outputs[0.0]  # at the first env step the base has learned nothing yet


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_layers": [4], "pair_inputs": True}, "hidden_layers must be"),
        ({"hidden_layers": [4], "base": "actor_critic"}, "hidden_layers must be"),
        ({"adaptive_base": True}, "has no base to adapt"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        make_learner(SymmetricConfig(**options), (2,), 2, 1)
