"""The products that a job can be planned for: their sizes, and the peak performance of a device.

A device is what a program is mapped over. It is a chip, but for v4, of which libtpu describes each chip as two devices
with half its memory; on a real v4 JAX shows the two as one.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from podmeta.errors import InputError


class Peaks(NamedTuple):
    """The peak performance of one device.

    Attributes:
      matmul_flops_per_second: of the matrix units, where they round float32 as little as they can in one pass: to
        bfloat16 on TPUs, to TensorFloat-32 on GPUs.
      other_flops_per_second: of the vector units; None if it is not published.
      hbm_bytes_per_second: between the device and its memory.
      interconnect_bytes_per_second: that a device can send to others of its slice or node.
      source: where these figures are from.
    """

    matmul_flops_per_second: float
    other_flops_per_second: float | None
    hbm_bytes_per_second: float
    interconnect_bytes_per_second: float
    source: str

    def matmul_rate(self, platform: str, matmul_precision: str) -> float:
        """Floating-point operations per second in products of matrices of float32, at a precision of the config.

        A TPU makes a product of float32 of six products of bfloat16, and one of TensorFloat-32 of three. A GPU's matrix
        units have no float32, so that its vector units make the products.
        """
        if platform == "tpu":
            return self.matmul_flops_per_second / _TPU_PASSES[matmul_precision]
        if platform == "cuda" and matmul_precision == "float32" and self.other_flops_per_second is not None:
            return self.other_flops_per_second
        return self.matmul_flops_per_second

    def bfloat16_matmul_rate(self, platform: str) -> float:
        """Floating-point operations per second in products of matrices of bfloat16.

        A GPU's matrix units make twice as many of them as of TensorFloat-32.
        """
        return self.matmul_flops_per_second * (2 if platform == "cuda" else 1)


_TPU_PASSES = {"float32": 6, "tensorfloat32": 3, "bfloat16": 1}


class Product(NamedTuple):
    """An accelerator.

    Attributes:
      name: as in a topology, such as v5e.
      platform: JAX's name of the platform.
      devices_per_chip: devices that a chip is.
      hbm_bytes: memory of a device.
      peaks: what a device can do at best.
      sizes: the slices or nodes that can be had of it, each as its extent in chips in every dimension.
    """

    name: str
    platform: str
    devices_per_chip: int
    hbm_bytes: int
    peaks: Peaks
    sizes: tuple[tuple[int, ...], ...]


class Topology(NamedTuple):
    """A slice or node of a product.

    Attributes:
      product: of which it is made.
      size: its extent in chips in every dimension.
    """

    product: Product
    size: tuple[int, ...]

    @property
    def num_chips(self) -> int:
        """Its chips."""
        return math.prod(self.size)

    @property
    def num_devices(self) -> int:
        """Its devices."""
        return self.num_chips * self.product.devices_per_chip

    def __str__(self) -> str:
        return f"{self.product.name}:{_written(self.size)}"


def parse_topology(text: str) -> Topology:
    """The topology that a user writes, such as v5e:16x16.

    Raises:
      InputError: there is no such product, or none of that size; the sizes near it are named.
    """
    name, _, size_text = text.partition(":")
    if name not in PRODUCTS:
        raise InputError(
            f"topology={text}: there is no product {name!r} to plan for: choose one of {', '.join(PRODUCTS)}"
        )
    product = PRODUCTS[name]
    extents = size_text.split("x")
    size = tuple(int(extent) for extent in extents) if all(map(str.isdecimal, extents)) else ()
    if size not in product.sizes:
        near = " or ".join(f"{name}:{_written(each)}" for each in _nearest(product.sizes, math.prod(size)))
        raise InputError(f"topology={text}: {name} does not come in that size. Close sizes are {near}")
    return Topology(product, size)


def _nearest(sizes: tuple[tuple[int, ...], ...], num_chips: int, count: int = 3) -> list[tuple[int, ...]]:
    return sorted(sizes, key=lambda size: abs(math.log(math.prod(size) / max(1, num_chips))))[:count]


def _written(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _cuboids(max_chips: int, max_extent: int) -> Iterator[tuple[int, ...]]:
    """The slices of a product whose chips stand in three dimensions: parts of a cube of 4x4x4, and whole ones."""
    yield from ((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4))
    extents = range(4, max_extent + 1, 4)
    yield from ((a, b, c) for a in extents for b in extents for c in extents if a <= b <= c and a * b * c <= max_chips)


_SQUARES = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_CLOUD_TPU = "cloud.google.com/tpu/docs/{}"
_VECTOR_UNITS = (
    "; vector units: 8x128 lanes of {} ALUs (jax-ml.github.io/scaling-book) at the clock of the matrix units"
)

PRODUCTS = {
    product.name: product
    for product in (
        Product(
            "v4",
            "tpu",
            2,
            16 * 2**30,
            Peaks(
                137.5e12,
                2.15e12,
                0.6e12,
                150e9,
                _CLOUD_TPU.format("v4") + ", arXiv 2304.01433" + _VECTOR_UNITS.format(2),
            ),
            tuple(_cuboids(4096, 24)),
        ),
        Product(
            "v5e",
            "tpu",
            1,
            16 * 2**30,
            Peaks(197e12, 6.1e12, 819e9, 200e9, _CLOUD_TPU.format("v5e") + _VECTOR_UNITS.format(4)),
            _SQUARES,
        ),
        Product(
            "v5p",
            "tpu",
            1,
            95 * 2**30,
            Peaks(459e12, 14.3e12, 2765e9, 600e9, _CLOUD_TPU.format("v5p") + _VECTOR_UNITS.format(4)),
            tuple(_cuboids(6144, 24)),
        ),
        Product(
            "v6e",
            "tpu",
            1,
            32 * 2**30,
            Peaks(918e12, None, 1638e9, 400e9, _CLOUD_TPU.format("v6e") + "; vector units: not published"),
            _SQUARES,
        ),
        Product(
            "h100",
            "cuda",
            1,
            84_942_979_072,
            Peaks(
                494e12, 67e12, 3.35e12, 450e9, "NVIDIA H100 SXM data sheet: TF32 without sparsity, FP32, NVLink one way"
            ),
            ((1,), (2,), (4,), (8,)),
        ),
    )
}
"""By name. Sizes: what Google Cloud rents as one slice, and an H100 node or a part of it."""
