"""Makes all random keys.

JAX makes keys for the generator that `JAX_DEFAULT_PRNG_IMPL` names. Other generators draw other numbers, and the draws
of rbg depend on `vmap` and on the number of devices. That would break noise that any device can regenerate, and exact
resumption. So all keys are for one generator, whatever the environment variables say.
"""

from typing import Any

import jax
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

GENERATOR = "threefry2x32"


def make_key(seed: int | Int[Array, ""] | UInt32[Array, ""]) -> PRNGKeyArray:
    """The key of a seed."""
    return jax.random.key(seed, impl=GENERATOR)


def wrap_key(key_data: UInt32[Array, "*keys 2"]) -> PRNGKeyArray:
    """The keys whose numbers `jax.random.key_data` returned."""
    return jax.random.wrap_key_data(key_data, impl=GENERATOR)


def describe_generator() -> str:
    """The generator and the JAX settings that change its draws, in words. A run is resumed only with the same ones."""
    config: Any = jax.config  # whose attributes JAX does not declare
    described = GENERATOR
    if not config.jax_threefry_partitionable:
        described += ", JAX_THREEFRY_PARTITIONABLE=0"
    if config.jax_random_seed_offset:
        described += f", JAX_RANDOM_SEED_OFFSET={config.jax_random_seed_offset}"
    return described
