"""The residual convolutional network of IMPALA (Espeholt et al. 2018, arXiv 1802.01561, figure 3), for images."""

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_CHANNELS = (16, 32, 32)  # of its three sections
_BLOCKS = 2  # residual blocks in each


def impala_torso(image: Float[Array, "rows columns channels"]) -> Float[Array, "features"]:
    """What the network makes of one image, flat. The smaller of the first and the last axis is taken for channels."""
    if image.shape[0] < image.shape[-1]:
        image = jnp.moveaxis(image, 0, -1)
    features = image
    for section, channels in enumerate(_CHANNELS):
        features = _convolution(channels, f"section_{section}")(features)
        features = hk.max_pool(features, window_shape=(3, 3, 1), strides=(2, 2, 1), padding="SAME")
        for block in range(_BLOCKS):
            inner = features
            for index in range(2):
                inner = _convolution(channels, f"section_{section}_block_{block}_{index}")(jax.nn.relu(inner))
            features = features + inner
    return jax.nn.relu(features).reshape(-1)


def _convolution(channels: int, name: str) -> hk.Conv2D:
    return hk.Conv2D(channels, kernel_shape=3, padding="SAME", name=name)
