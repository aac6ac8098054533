"""Activations of bfloat16: close to float32, with θ and all that adds up in float32."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import (
    GTrXLConfig,
    OnlineActorCriticConfig,
    OnlineReinforceConfig,
    RecurrentConfig,
    S5Config,
    SymmetricConfig,
)
from podmeta.errors import InputError
from podmeta.learners.base import LearnerInput
from podmeta.learners.registry import make_learner
from podmeta.planning.flops import count_flops
from tests.learners.unrolls import draw_meta_params

OBSERVATION_SHAPE, NUM_ACTIONS, NUM_STEPS = (5,), 3, 30
OPTIONS = SymmetricConfig(
    hidden_size=8,
    pair_inputs=True,
    pair_traces=[0.9],
    multiplicative_readout=True,
    critic=True,
    base="actor_critic",
    adaptive_base=True,
)
LEARNERS = {
    "symmetric": SymmetricConfig(hidden_size=8, message_size=4, hidden_layers=[4]),
    "options": OPTIONS,
    "lstm": RecurrentConfig(hidden_size=16),
    "gru": RecurrentConfig(hidden_size=16, cell="gru"),
    "none": RecurrentConfig(hidden_size=16, cell="none", torso_layers=[16]),
    "s5": S5Config(hidden_size=16, num_layers=2),
    "gtrxl": GTrXLConfig(hidden_size=16, num_layers=2, num_heads=2, memory_length=8),
}
IN_BFLOAT16 = {
    "symmetric": {"[0].hidden", "[1].hidden"},
    "options": {".layers[0].hidden"},
    "lstm": {"[0]"},
    "gru": set(),
    "none": set(),
    "s5": set(),
    "gtrxl": {".memory"},
}
"""By learner, the parts of its state that do not add up over a lifetime."""


def inputs():
    keys = jax.random.split(jax.random.key(1), 3)
    return LearnerInput(
        observation=jax.random.normal(keys[0], (NUM_STEPS, *OBSERVATION_SHAPE)),
        previous_action=jax.nn.one_hot(jax.random.randint(keys[1], NUM_STEPS, 0, NUM_ACTIONS), NUM_ACTIONS),
        reward=jax.random.normal(keys[2], NUM_STEPS),
        episode_start=jnp.float32(jnp.arange(NUM_STEPS) % 10 == 0),
    )


def make(config, dtype):
    return make_learner(config, OBSERVATION_SHAPE, NUM_ACTIONS, 1, dtype)


def run(learner, meta_params):
    def step(state, learner_input):
        output, state = learner.step(meta_params, state, learner_input)
        return state, output

    return jax.lax.scan(step, learner.initial_state(meta_params, jax.random.key(2)), inputs())


@pytest.mark.long
@pytest.mark.parametrize("name", LEARNERS)
def test_they_are_close_to_float32(name):
    narrow, wide = make(LEARNERS[name], "bfloat16"), make(LEARNERS[name], "float32")
    meta_params = draw_meta_params(wide)

    @jax.jit
    def gradient_and_outputs(meta_params):
        def loss(meta_params):
            rounded, exact = (run(learner, meta_params)[1] for learner in (narrow, wide))
            return jnp.sum(rounded.policy**2), (rounded, exact)

        return jax.grad(loss, has_aux=True)(meta_params)

    gradient, (rounded, exact) = gradient_and_outputs(meta_params)
    for leaf in jax.tree.leaves((rounded, gradient)):
        assert leaf.dtype == jnp.float32 and jnp.isfinite(leaf).all()
    for one, other in zip(jax.tree.leaves(rounded), jax.tree.leaves(exact), strict=True):
        distance, spread = np.abs(one - other).max(), np.abs(other).max()
        assert 1e-5 * spread < distance < 0.05 * spread  # bfloat16 has 8 bits, so 0.4%


@pytest.mark.parametrize("name", LEARNERS)
def test_what_adds_up_is_float32(name):
    learner = make(LEARNERS[name], "bfloat16")
    meta_params = jax.eval_shape(learner.init, jax.random.key(0))
    assert meta_params == jax.eval_shape(make(LEARNERS[name], "float32").init, jax.random.key(0))
    first = learner.initial_state(meta_params, jax.random.key(2))
    last = jax.eval_shape(lambda meta_params: run(learner, meta_params)[0], meta_params)
    for state in (first, last):
        leaves = jax.tree_util.tree_leaves_with_path(state)
        narrow = {jax.tree_util.keystr(path) for path, leaf in leaves if leaf.dtype == jnp.bfloat16}
        assert narrow == IN_BFLOAT16[name]


@pytest.mark.parametrize("name", LEARNERS)
def test_most_products_are_of_bfloat16(name):
    learner = make(LEARNERS[name], "bfloat16")
    meta_params = jax.eval_shape(learner.init, jax.random.key(0))
    count = count_flops(jax.make_jaxpr(lambda meta_params: run(learner, meta_params))(meta_params))
    assert count.matmul_bfloat16 > count.matmul


def test_an_unroll_is_a_scan_of_steps():
    learner = make(LEARNERS["gtrxl"], "bfloat16")
    meta_params = draw_meta_params(learner)

    @jax.jit
    def both(meta_params):
        state = learner.initial_state(meta_params, jax.random.key(2))
        return learner.unroll(meta_params, state, inputs())[0], run(learner, meta_params)[1]

    at_once, in_steps = both(meta_params)
    spread = np.abs(in_steps.policy).max()
    np.testing.assert_allclose(at_once.policy, in_steps.policy, atol=0.05 * spread)


def test_images_and_the_gradient_of_a_convolution_have_that_type_too():
    learner = make_learner(RecurrentConfig(torso="impala"), (12, 12, 3), NUM_ACTIONS, 1, "bfloat16")
    meta_params = jax.eval_shape(learner.init, jax.random.key(0))
    image = inputs()._replace(observation=jnp.zeros((NUM_STEPS, 12, 12, 3), jnp.uint8))

    def loss(meta_params):
        state = learner.initial_state(meta_params, jax.random.key(2))
        return jnp.sum(jax.lax.scan(lambda s, i: learner.step(meta_params, s, i)[::-1], state, image)[1].policy)

    assert jax.eval_shape(jax.grad(loss), meta_params) == meta_params
    convolutions = [line for line in str(jax.make_jaxpr(loss)(meta_params)).splitlines() if "= conv_general" in line]
    assert convolutions and all("bf16" in line for line in convolutions)


@pytest.mark.parametrize("config", [OnlineActorCriticConfig(), OnlineReinforceConfig()])
def test_a_hand_written_rule_is_refused(config):
    with pytest.raises(InputError, match=f"numerics.dtype=bfloat16: learner.name={config.name} has no activations"):
        make(config, "bfloat16")
    make(dataclasses.replace(config), "float32")
