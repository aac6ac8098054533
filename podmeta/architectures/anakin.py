"""Anakin: environment and learner in one compiled program on the devices (Podracer, Hessel et al. 2021, section 3).

What one device runs. Members live their lifetimes side by side under `vmap`, many updates follow one another in a
scan, and nothing touches the host in between. The caller maps the program over devices under the axis `DEVICE_AXIS`;
each device finds its own share of the population from its index.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from podmeta.lifetimes import InnerLoop
from podmeta.outer.evolution import Evolution, EvolutionMetrics, EvolutionState

DEVICE_AXIS = "devices"


class InstanceSettings(NamedTuple):
    """What tells the independent meta-learners of one program apart, each [num_instances].

    Attributes:
      seed: of everything about the instance.
      learning_rate: before its schedule.
      noise_std: σ before its schedule.
    """

    seed: UInt32[Array, "num_instances"]
    learning_rate: Float[Array, "num_instances"]
    noise_std: Float[Array, "num_instances"]


class Anakin(NamedTuple):
    """The program of one device.

    Attributes:
      init: instance settings -> state [num_instances, ...], the same on every device.
      run: (state, num_updates) -> (state, metrics [num_updates, num_instances]); under the axis DEVICE_AXIS.
      env_steps_per_update: env steps of all devices and instances in one update.
    """

    init: Callable[[InstanceSettings], EvolutionState]
    run: Callable[[EvolutionState, int], tuple[EvolutionState, EvolutionMetrics]]
    env_steps_per_update: int


def make_anakin(
    evolution: Evolution,
    inner_loop: InnerLoop,
    *,
    population_size: int,
    lifetimes_per_member: int,
    num_instances: int,
    num_devices: int,
) -> Anakin:
    """Builds the program that runs evolution on `num_devices` devices.

    Args:
      evolution: the outer loop.
      inner_loop: the learner in its environment.
      population_size: members over all devices; their pairs must divide over the devices.
      lifetimes_per_member: lifetimes over which a member's fitness is averaged.
      num_instances: independent meta-learners side by side.
      num_devices: devices the program is mapped over.

    Returns:
      The program of one device.
    """
    num_local_pairs = population_size // 2 // num_devices
    signs = jnp.array([1.0, -1.0])

    def live(state: EvolutionState, noise: Any, keys: Array, sign: Float[Array, ""]) -> Float[Array, ""]:
        """The fitness of one member."""
        meta_params = evolution.behaviour(state, noise, sign)
        return jnp.mean(jax.vmap(lambda key: evolution.summarise(inner_loop.live(meta_params, key)))(keys))

    def live_pair(state: EvolutionState, noise: Any, pair: Int[Array, ""]) -> Float[Array, "2"]:
        keys = evolution.lifetime_keys(state, pair)
        return jax.vmap(lambda sign: live(state, noise, keys, sign))(signs)

    def update(state: EvolutionState) -> tuple[EvolutionState, EvolutionMetrics]:
        first_pair = jax.lax.axis_index(DEVICE_AXIS) * num_local_pairs
        pairs = first_pair + jnp.arange(num_local_pairs)
        noise = jax.vmap(evolution.noise, in_axes=(None, 0))(state, pairs)
        fitness = jax.vmap(live_pair, in_axes=(None, 0, 0))(state, noise, pairs)
        return evolution.update(state, fitness, noise, DEVICE_AXIS)

    def run(state: EvolutionState, num_updates: int) -> tuple[EvolutionState, EvolutionMetrics]:
        step = _over_instances(update, num_instances)
        return jax.lax.scan(lambda carry, _: step(carry), state, length=num_updates)

    def init(settings: InstanceSettings) -> EvolutionState:
        return jax.vmap(evolution.init)(*settings)

    env_steps = population_size * lifetimes_per_member * inner_loop.lifetime_length * num_instances
    return Anakin(init, run, env_steps)


def _over_instances(update: Callable, num_instances: int) -> Callable:
    """Maps an update over instances. A single one goes without an axis, which would only cost speed."""
    if num_instances > 1:
        return jax.vmap(update)

    def update_the_one(state: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[None], update(jax.tree.map(lambda leaf: leaf[0], state)))

    return update_the_one
