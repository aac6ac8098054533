"""Random draws for families of tasks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

_CHUNK = 256


class Draws:
    """Independent draws, one after the other, from one key.

    They use few calls of the generator, because every call takes a fraction of a second to compile, and a task needs
    dozens of draws.

    Args:
      key: the random key.
    """

    def __init__(self, key: PRNGKeyArray):
        self._key = key
        self._num_chunks = 0
        self._left: Array = jnp.zeros(0)

    def uniform(
        self, low: float | Float[Array, "..."], high: float | Float[Array, "..."], shape: tuple[int, ...] = ()
    ) -> Float[Array, "..."]:
        """Uniform on [low, high)."""
        size = math.prod(shape)
        if self._left.size < size:
            key = jax.random.fold_in(self._key, self._num_chunks)
            self._left = jax.random.uniform(key, (max(size, _CHUNK),))
            self._num_chunks += 1
        taken, self._left = jnp.split(self._left, [size])
        return low + (high - low) * taken.reshape(shape)

    def log_uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draws whose logarithms are uniform between those of `low` and `high`."""
        return jnp.exp(self.uniform(np.log(low), np.log(high), shape))

    def normal(self, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Standard normal."""
        return math.sqrt(2) * jax.scipy.special.erfinv(jnp.maximum(self.uniform(-1, 1, shape), -1 + 1e-6))

    def chance(self, probability: float, shape: tuple[int, ...] = ()) -> Bool[Array, "..."]:
        """True with the probability."""
        return self.uniform(0, 1, shape) < probability

    def sign(self, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """-1 or 1."""
        return jnp.where(self.chance(0.5, shape), 1.0, -1.0)

    def integer(self, low: int, high: int, shape: tuple[int, ...] = ()) -> Int[Array, "..."]:
        """One of low, low + 1, ..., high - 1."""
        return low + jnp.floor(self.uniform(0, high - low, shape)).astype(jnp.int32)

    def choice(self, choices: tuple[int, ...]) -> Int[Array, ""]:
        """One of `choices`, each equally likely."""
        return jnp.asarray(choices, jnp.int32)[self.integer(0, len(choices))]

    def permutation(self, size: int, shape: tuple[int, ...] = ()) -> Int[Array, "... size"]:
        """Permutations of 0, ..., size - 1, along the last axis."""
        return jnp.argsort(self.uniform(0, 1, (*shape, size)), axis=-1)


def interpolate(easy: float, hard: float, difficulty: float) -> float:
    """The geometric interpolation from `easy` at difficulty 0 to `hard` at difficulty 1."""
    return easy * (hard / easy) ** difficulty
