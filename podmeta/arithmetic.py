"""The JAX settings that podmeta and its libraries are written for: 32-bit arrays, and mixed types and ranks.

By default, JAX multiplies float32 matrices with fewer bits on accelerators: in TensorFloat-32 on GPUs, with a mantissa
of 10 bits, and in bfloat16 on TPUs, with one of 7. podmeta multiplies them in float32 unless a job asks for less. CPUs
always do so.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import jax

ARITHMETIC: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_matmul_precision": "float32",
}
"""Settings of JAX, by name."""


def use_own_arithmetic(matmul_precision: str = "float32") -> None:
    """Makes these the settings of the process.

    Args:
      matmul_precision: that of products of matrices of float32, as `numerics.matmul_precision` names it.
    """
    for name, value in (ARITHMETIC | {"jax_default_matmul_precision": matmul_precision}).items():
        jax.config.update(name, value)


@contextlib.contextmanager
def own_types() -> Iterator[None]:
    """Uses the settings of types within the block, in this thread, whatever the user has set. Also a decorator.

    The precision of products stays as it is, because a job may have set it.
    """
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def use_own_types_in(methods: Iterable[str], cls: type) -> None:
    """Applies `own_types` to those of these methods that a class defines itself, for `__init_subclass__`."""
    for name in methods:
        if name in vars(cls):
            setattr(cls, name, own_types()(vars(cls)[name]))


@contextlib.contextmanager
def own_arithmetic() -> Iterator[None]:
    """Uses all these settings within the block, as `own_types` does. Also a decorator."""
    with own_types(), jax.default_matmul_precision("float32"):
        yield
