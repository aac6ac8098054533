"""Gated Transformer-XL: its unroll against a scan of steps, and its attention against plain loops."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.config.schema import GTrXLConfig
from podmeta.errors import InputError
from podmeta.learners.gtrxl import RelativeAttention, _places, make_gtrxl_learner
from podmeta.learners.registry import make_learner
from tests.learners import unrolls

CONFIG = GTrXLConfig(hidden_size=6, num_heads=2, memory_length=3)


def make(config=CONFIG):
    return make_gtrxl_learner(config, (unrolls.OBSERVATION_SIZE,), unrolls.NUM_ACTIONS, 1)


@pytest.mark.long
@given(first=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(max_examples=3)  # each compiles its own programs
def test_unroll_is_a_scan_of_steps(first, seed):
    """With unrolls shorter and longer than the memory, which no block divides."""
    unrolls.assert_unroll_is_a_scan_of_steps(make(), [first, 7], seed)


@pytest.mark.long
def test_gradients_are_those_of_a_scan():
    unrolls.assert_gradients_are_those_of_a_scan(make(), 7)


def test_unroll_passes_through_the_units_of_observations_and_rewards():
    config = GTrXLConfig(hidden_size=4, memory_length=3, scale_observations=True, normalise_rewards=True)
    learner = make_learner(config, (unrolls.OBSERVATION_SIZE,), unrolls.NUM_ACTIONS, 1)
    unrolls.assert_unroll_is_a_scan_of_steps(learner, [3, 8])


def plain_attention(parameters, steps, memory_length, num_remembered, num_heads):
    """What each step attends to, one query, head and key at a time (Dai et al. 2019, section 3.3)."""
    size = steps.shape[1]
    key_matrix, value_matrix = np.split(parameters["attention"]["key_and_value"], 2, axis=1)
    queries, keys, values = (steps @ m for m in (parameters["attention"]["query"], key_matrix, value_matrix))
    places = _places(memory_length, size) @ parameters["attention"]["place"]
    heads = np.split(np.arange(size), num_heads)
    attended = []
    for step in range(memory_length, len(steps)):
        of_step = np.zeros(size)
        for head, part in enumerate(heads):
            reach = [k for k in range(step - memory_length, step + 1) if k >= memory_length - num_remembered]
            content = queries[step, part] + parameters["attention"]["content_bias"][head]
            place = queries[step, part] + parameters["attention"]["place_bias"][head]
            scores = [content @ keys[k, part] + place @ places[memory_length - (step - k), part] for k in reach]
            weights = np.exp(np.array(scores) / np.sqrt(len(part)))
            of_step[part] = weights / weights.sum() @ values[np.ix_(reach, part)]
        attended.append(of_step)
    output = parameters["attention/output"]
    return np.stack(attended) @ output["w"] + output["b"]


@pytest.mark.parametrize(("num_steps", "num_remembered"), [(1, 0), (2, 3), (7, 1), (9, 3)])
def test_attention_is_that_of_plain_loops(num_steps, num_remembered):
    generator, memory_length, size = np.random.default_rng(0), 3, 6
    steps = generator.normal(size=(memory_length + num_steps, size)).astype(np.float32)

    def attend(steps):
        return RelativeAttention(2)(steps, memory_length, jnp.int32(num_remembered))

    transformed = hk.without_apply_rng(hk.transform(attend))
    shapes = jax.eval_shape(transformed.init, jax.random.key(0), jnp.asarray(steps))
    parameters = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes)
    attended = transformed.apply(jax.tree.map(jnp.asarray, parameters), jnp.asarray(steps))
    expected = plain_attention(parameters, steps, memory_length, num_remembered, num_heads=2)
    np.testing.assert_allclose(attended, expected, atol=1e-3)


def test_it_looks_back_as_far_as_its_layers_reach_and_no_further():
    """An observation counts for num_layers * memory_length steps after its own."""
    learner, num_steps = make(), 12
    meta_params = unrolls.draw_meta_params(learner)
    inputs = unrolls.draw_inputs(num_steps, seed=0)
    unroll = jax.jit(learner.unroll)

    def values(observations):
        state = learner.initial_state(meta_params, jax.random.key(0))
        return np.asarray(unroll(meta_params, state, inputs._replace(observation=observations))[0].value)

    changed = np.abs(values(inputs.observation.at[1].add(1.0)) - values(inputs.observation)) > 1e-6
    reach = CONFIG.num_layers * CONFIG.memory_length
    assert not changed[0] and changed[1] and changed[1 + reach] and not changed[2 + reach :].any()


def test_heads_that_do_not_divide_the_layer_are_refused():
    with pytest.raises(InputError, match=r"learner\.num_heads=4 does not divide learner\.hidden_size=6.*such as 2"):
        make(GTrXLConfig(hidden_size=6))
