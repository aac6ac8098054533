"""Where every random key comes from.

JAX makes keys of the generator that `JAX_DEFAULT_PRNG_IMPL` names. Another generator draws other numbers, and rbg draws
others under `vmap` and on other numbers of devices, which would break what podmeta promises: noise that any device can
make again, and runs that go on exactly. So all keys are of one generator, whatever the surroundings say.
"""

from typing import Any

import jax
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

GENERATOR = "threefry2x32"


def make_key(seed: int | Int[Array, ""] | UInt32[Array, ""]) -> PRNGKeyArray:
    """The key of a seed."""
    return jax.random.key(seed, impl=GENERATOR)


def wrap_key(key_data: UInt32[Array, "*keys 2"]) -> PRNGKeyArray:
    """The keys that `jax.random.key_data` has made plain numbers of."""
    return jax.random.wrap_key_data(key_data, impl=GENERATOR)


def describe_generator() -> str:
    """The generator in words, with those settings of JAX that change what it draws. A run goes on with the same one."""
    config: Any = jax.config  # whose attributes JAX does not declare
    described = GENERATOR
    if not config.jax_threefry_partitionable:
        described += ", JAX_THREEFRY_PARTITIONABLE=0"
    if config.jax_random_seed_offset:
        described += f", JAX_RANDOM_SEED_OFFSET={config.jax_random_seed_offset}"
    return described
