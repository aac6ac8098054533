"""That a learner's unroll is a scan of its steps: for tests of learners that have one."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.learners.scripted_lifetimes import assert_close, draw_lifetime, rollout

OBSERVATION_SIZE, NUM_ACTIONS = 3, 2


def draw_meta_params(learner, seed=0):
    """θ, none of whose numbers is 0, but some of which are small, as at the start of training."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(learner.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(0.4 * generator.normal(size=leaf.shape), jnp.float32), shapes)


def draw_inputs(num_steps, seed, centred=False):
    """The inputs [num_steps, ...] of a part of a lifetime, in which episodes start here and there."""
    return jax.tree.map(
        jnp.asarray, draw_lifetime(OBSERVATION_SIZE, NUM_ACTIONS, num_steps, centred=centred, seed=seed)
    )


def assert_unroll_is_a_scan_of_steps(learner, lengths, seed=0, centred=False):
    """In parts of a lifetime of these lengths, each from the state that the one before has left.

    Then another lifetime begins: the state is the first one again, and nothing is left of the lifetime before.
    """
    meta_params = draw_meta_params(learner)
    unroll = jax.jit(learner.unroll)
    scan = jax.jit(lambda *arguments: rollout(learner.step, *arguments))
    for _ in range(2):
        unrolled = scanned = learner.initial_state(meta_params, jax.random.key(0))
        for length in lengths:
            seed += 1
            inputs = draw_inputs(length, seed, centred)
            outputs, unrolled = unroll(meta_params, unrolled, inputs)
            expected, scanned = scan(meta_params, scanned, inputs)
            assert_close(outputs, expected, atol=1e-4)
            assert_close(unrolled, scanned, atol=1e-4)


def assert_gradients_are_those_of_a_scan(learner, length):
    """With respect to θ and to the state before the unroll."""
    meta_params = draw_meta_params(learner)
    start = learner.initial_state(meta_params, jax.random.key(0))
    _, state = rollout(learner.step, meta_params, start, draw_inputs(5, seed=1))
    inputs = draw_inputs(length, seed=2)
    weights = np.random.default_rng(3).normal(size=(length, NUM_ACTIONS, 1)).astype(np.float32)

    def loss(run):
        def of(meta_params, state):
            outputs, after = run(meta_params, state, inputs)
            floating = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(after) if leaf.dtype == jnp.float32]
            return jnp.sum(weights * outputs.policy) + jnp.sum(outputs.value**2) + sum(floating)

        return jax.jit(jax.grad(of, argnums=(0, 1), allow_int=True))

    unrolled = loss(learner.unroll)(meta_params, state)
    scanned = loss(lambda *arguments: rollout(learner.step, *arguments))(meta_params, state)

    def assert_alike(actual, expected):
        if actual.dtype == jnp.float32:
            scale = 1.0 + np.abs(expected).max()
            np.testing.assert_allclose(actual / scale, expected / scale, atol=2e-4)

    jax.tree.map(assert_alike, unrolled, scanned)
