"""What podmeta and the libraries that it calls are written for: arrays of 32 bits, and types and ranks that mix."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

ARITHMETIC: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
}
"""Settings of JAX, by name."""


@contextlib.contextmanager
def own_arithmetic() -> Iterator[None]:
    """Computes with these settings meanwhile, in this thread, whatever a user's program has set. Also a decorator."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
