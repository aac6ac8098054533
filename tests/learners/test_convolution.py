"""IMPALA's network against NumPy, in either order of axes, on numbers and on bytes."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import RecurrentConfig
from podmeta.errors import InputError
from podmeta.learners.base import LearnerInput
from podmeta.learners.convolution import convolution, impala_torso
from podmeta.learners.recurrent import make_recurrent_learner

ROWS, COLUMNS, CHANNELS = 9, 8, 3
TORSO = hk.without_apply_rng(hk.transform(impala_torso))


@functools.cache
def meta_params():
    shapes = jax.eval_shape(TORSO.init, jax.random.key(0), jnp.zeros((ROWS, COLUMNS, CHANNELS)))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * generator.normal(size=leaf.shape), jnp.float32), shapes)


def image(seed=1):
    return np.random.default_rng(seed).uniform(size=(ROWS, COLUMNS, CHANNELS)).astype(np.float32)


def padded(features, fill, stride=1):
    """With what SAME padding adds for windows of 3: what is missing, the larger half behind."""
    missing = [max((-(-size // stride) - 1) * stride + 3 - size, 0) for size in features.shape[:2]]
    return np.pad(features, [(m // 2, m - m // 2) for m in missing] + [(0, 0)], constant_values=fill)


def convolved(features, parameters):
    windows = np.lib.stride_tricks.sliding_window_view(padded(features, 0.0), (3, 3), axis=(0, 1))
    return np.einsum("rcfhw,hwfo->rco", windows, parameters["w"]) + parameters["b"]


def pooled(features):
    windows = np.lib.stride_tricks.sliding_window_view(padded(features, -np.inf, 2), (3, 3), axis=(0, 1))
    return windows[::2, ::2].max(axis=(-2, -1))


def test_the_network_is_the_papers():
    features = image()
    for section in range(3):
        features = pooled(convolved(features, meta_params()[f"section_{section}"]))
        for block in range(2):
            inner = features
            for index in range(2):
                inner = convolved(np.maximum(inner, 0), meta_params()[f"section_{section}_block_{block}_{index}"])
            features = features + inner
    expected = np.maximum(features, 0).reshape(-1)
    np.testing.assert_allclose(TORSO.apply(meta_params(), jnp.asarray(image())), expected, rtol=1e-3, atol=1e-3)
    assert sum(name.startswith("section") for name in meta_params()) == 3 * 5


def test_channels_may_come_first_or_last():
    last, first = (TORSO.apply(meta_params(), jnp.asarray(axes)) for axes in (image(), np.moveaxis(image(), -1, 0)))
    np.testing.assert_allclose(last, first, rtol=1e-5)


def test_a_learner_sees_bytes_as_numbers_up_to_1():
    config = RecurrentConfig(torso="impala", cell="none", torso_layers=[4])
    learner = make_recurrent_learner(config, (ROWS, COLUMNS, CHANNELS), 2, 1)
    of_learner = learner.init(jax.random.key(0))
    pixels = np.random.default_rng(2).integers(256, size=(ROWS, COLUMNS, CHANNELS)).astype(np.uint8)

    def value(observation):
        told = LearnerInput(jnp.asarray(observation), jnp.zeros(2), jnp.zeros(()), jnp.zeros(()))
        return learner.step(of_learner, (), told)[0].value

    np.testing.assert_allclose(value(pixels), value((pixels / 255.0).astype(np.float32)), rtol=1e-5)
    assert abs(value(pixels) - value(255 - pixels)) > 1e-6


def test_what_is_no_image_is_told():
    with pytest.raises(InputError, match=r"learner\.torso=impala is for images.*\[4\]"):
        make_recurrent_learner(RecurrentConfig(torso="impala"), (4,), 2, 1)


def plain_convolution(image, weights):
    """As one product for every output, of which JAX knows the gradient by itself."""
    around = jnp.pad(image, ((1, 1), (1, 1), (0, 0)))
    rows, columns, _ = image.shape
    windows = jnp.array(
        [[around[row : row + rows, column : column + columns] for column in range(3)] for row in range(3)]
    )
    return jnp.einsum("hwrcf,hwfo->rco", windows, weights)


@pytest.mark.parametrize("rows, columns, in_channels, out_channels", [(5, 4, 3, 2), (1, 2, 1, 4), (8, 8, 4, 4)])
def test_gradients_are_those_of_a_plain_convolution(rows, columns, in_channels, out_channels):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(6, rows, columns, in_channels)).astype(np.float32)
    weights = generator.normal(size=(3, 3, in_channels, out_channels)).astype(np.float32)
    target = generator.normal(size=(6, rows, columns, out_channels)).astype(np.float32)

    def gradients(convolve):
        def loss(weights, images):
            return jnp.mean((jax.vmap(convolve, in_axes=(0, None))(images, weights) - target) ** 2)

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(weights, images)

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        gradients(convolution),
        gradients(plain_convolution),
    )


def test_parameters_are_born_as_haikus():
    def haikus(image):
        return hk.Conv2D(16, kernel_shape=3, padding="SAME", name="section_0")(image)

    expected = hk.transform(haikus).init(jax.random.key(3), jnp.asarray(image()))["section_0"]
    born = TORSO.init(jax.random.key(3), jnp.asarray(image()))["section_0"]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), born, expected)
