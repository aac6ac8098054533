"""The symmetric learner: the fast form against the plain one, and its symmetries over scripted lifetimes."""

import functools
import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podmeta.benchmarks.plain_symmetric import plain_step
from podmeta.config.schema import SymmetricConfig
from podmeta.learners.linear import LowRankMatrix
from podmeta.learners.symmetric import LayerState, make_symmetric_learner
from tests.learners.scripted_lifetimes import (
    NUM_STEPS,
    assert_close,
    compiled_rollout,
    draw,
    draw_meta_params,
    draw_script,
    draw_state,
    rollout,
)

AGGREGATIONS = ("mean", "sum", "sum_forward")


@st.composite
def configs(draw):
    return SymmetricConfig(
        hidden_size=draw(st.integers(1, 5)),
        message_size=draw(st.integers(2, 4)),
        hidden_layers=draw(st.sampled_from([[], [3]])),
        num_micro_ticks=draw(st.integers(1, 2)),
        aggregation=draw(st.sampled_from(AGGREGATIONS)),
        state_noise=0.5,
        episode_start_input=draw(st.booleans()),
        activation=draw(st.sampled_from(["tanh", "rational"])),
    )


def deep(aggregation):
    """A config that hides nothing: its aggregations, layers and ticks all make a difference."""
    return SymmetricConfig(
        hidden_size=3, message_size=2, hidden_layers=[3], num_micro_ticks=2, aggregation=aggregation, state_noise=0.5
    )


sizes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 2))  # A, B, policy channels


@settings(max_examples=4)
@example(deep("mean"), (4, 2, 2))
@example(deep("sum"), (2, 4, 1))
@example(deep("sum_forward"), (4, 2, 1))
@given(configs(), sizes)
def test_the_fast_form_is_the_plain_form(config, size):
    _, num_actions, num_policy_channels = size
    learner = make_symmetric_learner(config, *size)
    plain = functools.partial(plain_step, config, num_policy_channels)
    meta_params, state, script = draw_meta_params(learner), draw_state(learner), draw_script(*size[:2])
    both = jax.jit(lambda *arguments: [rollout(step, *arguments) for step in (learner.step, plain)])
    (outputs, final_state), plain_results = both(meta_params, state, script)
    assert outputs.policy.shape == (NUM_STEPS, num_actions, num_policy_channels)
    assert_close((outputs, final_state), plain_results)


@given(sizes, sizes, st.lists(st.integers(1, 4), max_size=2))
def test_meta_params_have_the_same_shapes_for_every_size_and_depth(size, other_size, hidden_layers):
    def shapes(layers, observation_size, num_actions, num_policy_channels):
        config = SymmetricConfig(hidden_layers=layers)
        learner = make_symmetric_learner(config, observation_size, num_actions, num_policy_channels)
        return jax.eval_shape(learner.init, jax.random.key(0))

    assert shapes([], *size) == shapes(hidden_layers, *other_size)


@settings(max_examples=5)
@example(deep("sum_forward"), (4, 3, 2), random.Random(1))
@given(configs(), sizes, st.randoms(use_true_random=False))
def test_permutations_of_observations_and_actions_permute_the_lifetime_with_them(config, size, shuffler):
    observation_size, num_actions, _ = size
    learner = make_symmetric_learner(config, *size)
    meta_params, state, script = draw_meta_params(learner), draw_state(learner), draw_script(*size[:2])
    # One permutation per width of the network; those of hidden layers must not show either.
    widths = [observation_size, *config.hidden_layers, num_actions]
    permutations = [shuffler.sample(range(width), width) for width in widths]
    permuted_state = permute_state(state, permutations)
    permuted_script = script._replace(
        observation=script.observation[:, permutations[0]],
        previous_action=script.previous_action[:, permutations[-1]],
    )

    program = compiled_rollout(learner.step)
    outputs, final_state = program(meta_params, state, script)
    permuted_outputs, permuted_final_state = program(meta_params, permuted_state, permuted_script)
    assert_close(permuted_outputs.policy, outputs.policy[:, permutations[-1]])
    assert_close(permuted_outputs.value, outputs.value)
    assert_close(permuted_final_state, permute_state(final_state, permutations))


def permute_state(state, permutations):
    return tuple(
        LayerState(
            hidden=layer.hidden[above][:, below],
            cell=layer.cell[above][:, below],
            forward=layer.forward[below],
            backward=layer.backward[above],
        )
        for layer, (above, below) in zip(state, itertools.pairwise(permutations), strict=True)
    )


@pytest.mark.parametrize("copied", ["observation", "action"])
def test_with_means_copies_of_inputs_and_outputs_change_nothing(copied):
    config = SymmetricConfig(hidden_size=4, message_size=3, aggregation="mean")
    sizes_of_double = (6, 2, 1) if copied == "observation" else (3, 4, 1)
    single, double = make_symmetric_learner(config, 3, 2, 1), make_symmetric_learner(config, *sizes_of_double)
    meta_params = draw_meta_params(single)
    script = draw_script(3, 2)
    if copied == "observation":
        doubled = script._replace(observation=np.tile(script.observation, 2))
    else:
        doubled = script._replace(previous_action=np.tile(script.previous_action, 2))
    birth, birth_of_double = (learner.initial_state(None, jax.random.key(0)) for learner in (single, double))
    outputs, _ = compiled_rollout(single.step)(meta_params, birth, script)
    doubled_outputs, _ = compiled_rollout(double.step)(meta_params, birth_of_double, doubled)
    expected = outputs.policy if copied == "observation" else np.tile(outputs.policy, (1, 2, 1))
    assert_close(doubled_outputs.policy, expected)
    assert_close(doubled_outputs.value, outputs.value)
    assert np.ptp(outputs.value) > 1e-2 and np.ptp(outputs.policy) > 1e-2  # there was something to change


@pytest.mark.parametrize("chosen", [{}, {"state_noise": 0.5}, {"state_noise": 0.0}])
def test_noise_at_birth_tells_hidden_units_apart_unless_it_is_switched_off(chosen):
    config = SymmetricConfig(hidden_size=4, message_size=3, hidden_layers=[3], **chosen)
    learner = make_symmetric_learner(config, 2, 2, 1)
    birth = learner.initial_state(None, jax.random.key(0))
    _, (first_layer, _) = compiled_rollout(learner.step)(draw_meta_params(learner), birth, draw_script(2, 2))
    differences = np.ptp(first_layer.forward, axis=0)
    assert differences.max() < 1e-6 if chosen == {"state_noise": 0.0} else differences.min() > 1e-4


def test_without_hidden_units_there_is_no_noise_by_default():
    assert SymmetricConfig().state_noise == 0.0


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_noise_falls_on_the_given_fraction_of_each_cell(fraction):
    config = SymmetricConfig(hidden_size=8, state_noise=0.3, state_noise_fraction=fraction, hidden_layers=[20])
    learner = make_symmetric_learner(config, 20, 20, 1)
    layers = jax.tree.map(np.asarray, learner.initial_state(None, jax.random.key(0)))
    num_noisy = round(8 * fraction)
    for layer in layers:
        assert not np.any(layer.cell[..., num_noisy:])
        assert not np.any(layer.hidden) and not np.any(layer.forward) and not np.any(layer.backward)
        if num_noisy > 0:
            np.testing.assert_allclose(layer.cell[..., :num_noisy].std(), 0.3, rtol=0.1)
    if num_noisy > 0:
        noise = np.concatenate([layer.cell[..., :num_noisy].ravel() for layer in layers])
        assert np.unique(noise).size > 0.99 * noise.size  # i.i.d.: float32 normals meet now and then


@pytest.mark.parametrize("told", [True, False])
def test_without_the_episode_start_input_it_is_not_told(told):
    learner = make_symmetric_learner(SymmetricConfig(hidden_size=4, episode_start_input=told), 2, 2, 1)
    program = compiled_rollout(learner.step)
    meta_params, state, script = draw_meta_params(learner), draw_state(learner), draw_script(2, 2)
    other = script._replace(episode_start=1.0 - script.episode_start)
    outputs, other_outputs = (program(meta_params, state, inputs)[0] for inputs in (script, other))
    assert np.array_equal(outputs.policy, other_outputs.policy) == (not told)


@pytest.mark.long
@settings(max_examples=4)
@given(configs(), sizes, st.integers(1, 2))
def test_a_low_rank_perturbation_is_the_matrix_it_stands_for(config, size, rank):
    learner = make_symmetric_learner(config, *size)
    meta_params = draw_meta_params(learner)
    factored = jax.tree.map(lambda leaf: perturbed(leaf, rank) if leaf.ndim == 2 else leaf, meta_params)
    whole = jax.tree.map(materialise, factored, is_leaf=is_low_rank)
    state, script = draw_state(learner), draw_script(*size[:2])
    actual, expected = jax.jit(
        lambda: [rollout(learner.step, parameters, state, script) for parameters in (factored, whole)]
    )()
    assert_close(actual, expected)


def perturbed(leaf, rank):
    factors = (draw(jax.ShapeDtypeStruct((length, rank), jnp.float32), seed=3) for length in leaf.shape)
    return LowRankMatrix(jnp.asarray(leaf), *map(jnp.asarray, factors))


def materialise(leaf):
    return leaf.base + leaf.left @ leaf.right.T if is_low_rank(leaf) else leaf


def is_low_rank(leaf):
    return isinstance(leaf, LowRankMatrix)
