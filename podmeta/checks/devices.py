"""`podmeta check devices`: every device computes, keeps what is stored on it, and exchanges sums with the others."""

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from podmeta.architectures.base import DEVICE_AXIS
from podmeta.checks.base import Figure, Setting
from podmeta.distributed.devices import map_over_devices, replicate

_SIZE = 256
_MATMUL_ERRORS = {"float32": 1e-5, "tensorfloat32": 3e-3, "bfloat16": 2e-2}
"""What a product of matrices may differ by from one in float64, relative to it. Rounding an element changes it by half
of its last bit: 6e-8, 5e-4 and 4e-3."""


def measure(setting: Setting) -> list[Figure]:
    """Stores numbers on each device and reads them back, adds over devices, and multiplies matrices."""
    figures = []
    for device in jax.local_devices()[: setting.num_devices]:
        what = {"device": f"{device.device_kind} {device.id} ({device.platform})"}
        limit = (device.memory_stats() or {}).get("bytes_limit")  # CPUs know none
        if limit is not None:
            figures.append(Figure("memory", limit / 2**30, "GiB", setting=what))
        wrong = _wrong_words(device, setting.num_bytes)
        figures.append(Figure("stored numbers that were read back wrongly", wrong, at_most=0, setting=what))
    figures.append(Figure("difference of a sum over all devices", _sum_error(setting.num_devices), at_most=0))
    for precision in setting.matmul_precisions:
        error, limit = _matmul_error(precision), _MATMUL_ERRORS[precision]
        figures.append(
            Figure("error of a matrix product", error, at_most=limit, setting={"matmul_precision": precision})
        )
    return figures


def _wrong_words(device: jax.Device, num_bytes: int) -> int:
    """Of the words of an array on a device, those that come back wrongly after all of their bits were flipped there."""
    words = np.random.default_rng(0).integers(2**32, size=num_bytes // 4, dtype=np.uint32)
    flipped = jax.jit(lambda words: ~words)(jax.device_put(words, device))
    return int(np.count_nonzero(np.asarray(flipped) != ~words))


def _sum_error(num_devices: int) -> float:
    """Of the sum of the devices' indices."""

    def add(zero: Int[Array, ""]) -> Int[Array, ""]:
        return zero + jax.lax.psum(jax.lax.axis_index(DEVICE_AXIS), DEVICE_AXIS)

    zeros = replicate(np.int32(0), DEVICE_AXIS, num_devices)
    summed = map_over_devices(add, DEVICE_AXIS, num_devices).lower(zeros).compile()(zeros)
    return float(np.abs(np.asarray(summed) - num_devices * (num_devices - 1) // 2).max())


def _matmul_error(precision: str) -> float:
    """Of a product of random matrices, relative to it, in the Frobenius norm."""
    left, right = np.random.default_rng(1).standard_normal((2, _SIZE, _SIZE)).astype(np.float32)

    def multiply(left: Float[Array, "m n"], right: Float[Array, "n k"]) -> Float[Array, "m k"]:
        return left @ right

    with jax.default_matmul_precision(precision):
        product = np.asarray(jax.jit(multiply)(left, right), np.float64)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    return float(np.linalg.norm(product - exact) / np.linalg.norm(exact))
