"""The diagonal linear recurrence: its unroll against a scan of steps, and its equations against complex NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.config.schema import S5Config
from podmeta.errors import InputError
from podmeta.learners.registry import make_learner
from podmeta.learners.s5 import Complex, diagonal_recurrence, in_parallel, make_s5_learner, step_by_step
from tests.learners import unrolls

CONFIG = S5Config(hidden_size=5, num_layers=2)


def make(config=CONFIG):
    return make_s5_learner(config, (unrolls.OBSERVATION_SIZE,), unrolls.NUM_ACTIONS, 1)


@pytest.mark.long
@given(first=st.integers(1, 9), seed=st.integers(0, 1000))
@settings(max_examples=3)  # each compiles its own programs
def test_unroll_is_a_scan_of_steps(first, seed):
    unrolls.assert_unroll_is_a_scan_of_steps(make(), [first, 8], seed)


@pytest.mark.long
def test_gradients_are_those_of_a_scan():
    unrolls.assert_gradients_are_those_of_a_scan(make(), 7)


@pytest.mark.long
@pytest.mark.parametrize(
    "keys",
    [
        {"scale_observations": True},
        {"normalise_rewards": True},
        {"scale_rewards": True},
        {"scale_observations": True, "normalise_rewards": True, "torso_layers": [4]},
    ],
)
def test_unroll_passes_through_the_units_of_observations_and_rewards(keys):
    config = S5Config(hidden_size=5, **keys)
    learner = make_learner(config, (unrolls.OBSERVATION_SIZE,), unrolls.NUM_ACTIONS, 1)
    unrolls.assert_unroll_is_a_scan_of_steps(learner, [3, 8])


def as_complex(numbers):
    return np.asarray(numbers.real) + 1j * np.asarray(numbers.imag)


def draw_complex(generator, *shape):
    return Complex(*jnp.asarray(0.5 * generator.normal(size=(2, *shape)), jnp.float32))


@pytest.mark.parametrize("num_steps", [1, 2, 13])
def test_the_recurrence_is_that_of_complex_numbers(num_steps):
    generator = np.random.default_rng(0)
    eigenvalues, state = draw_complex(generator, 4), draw_complex(generator, 4)
    driven = draw_complex(generator, num_steps, 4)
    x, expected = as_complex(state), []
    for value in as_complex(driven):
        x = as_complex(eigenvalues) * x + value
        expected.append(x)
    np.testing.assert_allclose(as_complex(diagonal_recurrence(eigenvalues, driven, state)), expected, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_accelerators_compute_what_cpus_do(reverse):
    generator = np.random.default_rng(1)
    eigenvalues, driven = draw_complex(generator, 4), draw_complex(generator, 7, 4)
    in_turn = step_by_step(eigenvalues, driven, reverse)
    np.testing.assert_allclose(as_complex(in_parallel(eigenvalues, driven, reverse)), as_complex(in_turn), atol=1e-5)


def test_it_forgets_neither_at_once_nor_never_at_first():
    """The eigenvalues of a fresh θ have radii between 0.9 and 0.999."""
    meta_params = jax.jit(make(S5Config(hidden_size=200)).init)(jax.random.key(0))
    layer = meta_params["s5/layer_0"]
    radii, phases = np.exp(-np.exp(layer["log_decay"])), np.exp(layer["log_phase"])
    assert 0.9 <= radii.min() < 0.91 and 0.99 < radii.max() <= 0.9991
    assert phases.min() > 0 and phases.max() <= np.pi / 10 + 1e-6


def test_the_first_policy_is_close_to_uniform():
    learner = make(S5Config())
    meta_params = jax.jit(learner.init)(jax.random.key(0))
    first_input = jax.tree.map(lambda leaf: leaf[0], unrolls.draw_inputs(1, seed=0))
    output, _ = learner.step(meta_params, learner.initial_state(meta_params, jax.random.key(1)), first_input)
    np.testing.assert_allclose(jax.nn.softmax(output.policy[:, 0]), 0.5, atol=0.1)


@pytest.mark.long
def test_images_go_through_the_convolutional_torso():
    config = S5Config(hidden_size=4, torso="impala", torso_layers=[3])
    learner = make_s5_learner(config, (12, 12, 3), unrolls.NUM_ACTIONS, 1)
    meta_params = unrolls.draw_meta_params(learner)
    inputs = unrolls.draw_inputs(2, seed=0)._replace(observation=jnp.ones((2, 12, 12, 3), jnp.uint8))
    outputs, _ = learner.unroll(meta_params, learner.initial_state(meta_params, None), inputs)
    assert outputs.policy.shape == (2, unrolls.NUM_ACTIONS, 1) and bool(jnp.all(jnp.isfinite(outputs.policy)))
    with pytest.raises(InputError, match=r"learner\.torso=impala"):
        make(config)
