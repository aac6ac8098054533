"""The residual convolutional network of IMPALA (Espeholt et al. 2018, arXiv 1802.01561, figure 3), for images."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_CHANNELS = (16, 32, 32)  # of its three sections
_BLOCKS = 2  # residual blocks in each


def impala_torso(image: Float[Array, "rows columns channels"]) -> Float[Array, "features"]:
    """The flat output of the network for one image. The smaller of the first and the last axis is the channel axis."""
    if image.shape[0] < image.shape[-1]:
        image = jnp.moveaxis(image, 0, -1)
    features = image
    for section, channels in enumerate(_CHANNELS):
        features = _Convolution(channels, f"section_{section}")(features)
        features = hk.max_pool(features, window_shape=(3, 3, 1), strides=(2, 2, 1), padding="SAME")
        for block in range(_BLOCKS):
            inner = features
            for index in range(2):
                inner = _Convolution(channels, f"section_{section}_block_{block}_{index}")(jax.nn.relu(inner))
            features = features + inner
    return jax.nn.relu(features).reshape(-1)


class _Convolution(hk.Module):
    """`convolution` with parameters `w` and `b`, initialised as Haiku's Conv2D."""

    def __init__(self, channels: int, name: str) -> None:
        super().__init__(name=name)
        self._channels = channels

    def __call__(self, image: Float[Array, "rows columns channels"]) -> Float[Array, "rows columns out_channels"]:
        shape = (3, 3, image.shape[-1], self._channels)
        init = hk.initializers.TruncatedNormal(1.0 / np.sqrt(np.prod(shape[:-1])))
        weights = hk.get_parameter("w", shape, init=init)
        bias = hk.get_parameter("b", (self._channels,), init=jnp.zeros)
        return convolution(image, weights.astype(image.dtype)) + bias.astype(image.dtype)


@jax.custom_vjp
def convolution(
    image: Float[Array, "rows columns in_channels"], weights: Float[Array, "3 3 in_channels out_channels"]
) -> Float[Array, "rows columns out_channels"]:
    """The correlation of a zero-padded image with a 3 x 3 kernel.

    On CPUs its gradient is computed in another way. XLA's CPU compiler has a fast gradient of a convolution only at the
    top level of a program. In a loop or under pmap, where updates run, it took 10 times as long.
    """
    return _correlation(image, weights)


def _correlation(image: Array, weights: Array) -> Array:
    return jax.lax.conv_general_dilated(
        image[None], weights, window_strides=(1, 1), padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]


def _forward(image: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    return _correlation(image, weights), (image, weights)


def _backward(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    return jax.lax.platform_dependent(*residuals, gradient, cpu=_shifted_gradients, default=_native_gradients)


convolution.defvjp(_forward, _backward)


def _native_gradients(image: Array, weights: Array, gradient: Array) -> tuple[Array, Array]:
    return jax.vjp(_correlation, image, weights)[1](gradient)


def _shifted_gradients(image: Array, weights: Array, gradient: Array) -> tuple[Array, Array]:
    """The gradients, by a convolution with the rotated kernel and by one matrix product per place in the kernel."""
    rows, columns, _ = image.shape
    padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0)))
    products = [
        [
            jnp.einsum("rci,rco->io", padded[row : row + rows, column : column + columns], gradient)
            for column in range(3)
        ]
        for row in range(3)
    ]
    return _correlation(gradient, weights[::-1, ::-1].swapaxes(2, 3)), jnp.array(products)
