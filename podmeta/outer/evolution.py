"""Evolution: antithetic OpenAI-ES (Salimans et al. 2017, arXiv 1703.03864), without a device in sight.

A generation perturbs θ into members, in pairs θ ± σε. Each member lives its lifetimes, its fitness is what it earned,
and the fitnesses, shaped over the whole population, weight the noise into a gradient:

    g = 1 / (2 n σ) * sum over the n pairs of (w_plus - w_minus) ε

The noise of a pair comes from (seed, generation, pair) alone, so that any device can make it again; what travels is
one fitness per member and one partial gradient per device. Both members of a pair live the same lifetimes (common
random numbers).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from podmeta.config.schema import EvolutionConfig
from podmeta.learners.base import MetaParams
from podmeta.lifetimes import Experience
from podmeta.outer.optimisers import make_optimiser, make_schedule_factor
from podmeta.outer.perturbations import Noise, perturb, sample_noise, weighted_sum
from podmeta.outer.shaping import SHAPINGS

_META_PARAMS, _NOISE, _LIFETIMES = range(3)  # what a key is for


class EvolutionState(NamedTuple):
    """All that evolution carries from one generation to the next.

    Attributes:
      meta_params: θ.
      optimiser_state: the optimiser's.
      update: [] generations done.
      seed: [] the seed of noise and lifetimes.
      learning_rate: [] before its schedule.
      noise_std: [] σ before its schedule.
    """

    meta_params: MetaParams
    optimiser_state: optax.OptState
    update: Int[Array, ""]
    seed: UInt32[Array, ""]
    learning_rate: Float[Array, ""]
    noise_std: Float[Array, ""]


class EvolutionMetrics(NamedTuple):
    """What one generation reports, all []."""

    fitness_mean: Float[Array, ""]
    fitness_std: Float[Array, ""]
    fitness_max: Float[Array, ""]
    fitness_min: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    meta_params_norm: Float[Array, ""]
    learning_rate: Float[Array, ""]
    noise_std: Float[Array, ""]


class Evolution(NamedTuple):
    """The outer loop as pure functions. Members come in pairs; pair p is members 2p (plus) and 2p + 1 (minus).

    Attributes:
      init: (seed, learning_rate, noise_std) -> state.
      noise: (state, pair) -> the noise of a pair.
      behaviour: (state, noise, sign) -> θ to act with.
      lifetime_keys: (state, pair) -> [lifetimes_per_member] keys, the same for both members of the pair.
      summarise: experience of a lifetime [T, ...] -> its fitness [].
      update: (state, fitness [num_local_pairs, 2], noise [num_local_pairs, ...], axis_name) -> (state, metrics).
    """

    init: Callable[[UInt32[Array, ""], Float[Array, ""], Float[Array, ""]], EvolutionState]
    noise: Callable[[EvolutionState, Int[Array, ""]], Noise]
    behaviour: Callable[[EvolutionState, Noise, Float[Array, ""]], MetaParams]
    lifetime_keys: Callable[[EvolutionState, Int[Array, ""]], PRNGKeyArray]
    summarise: Callable[[Experience], Float[Array, ""]]
    update: Callable[
        [EvolutionState, Float[Array, "num_local_pairs 2"], Noise, str | None],
        tuple[EvolutionState, EvolutionMetrics],
    ]


def make_evolution(
    config: EvolutionConfig, init_meta_params: Callable[[PRNGKeyArray], MetaParams], num_updates: int
) -> Evolution:
    """Builds evolution.

    Args:
      config: its config.
      init_meta_params: key -> θ.
      num_updates: the length of the job, which the schedules run over.

    Returns:
      The outer loop's functions.
    """
    shape_fitness = SHAPINGS[config.fitness_shaping]
    optimiser_with_rate = make_optimiser(config.optimiser, config.optimiser_arguments)
    rate_factor = make_schedule_factor(config.learning_rate_schedule, num_updates)
    std_factor = make_schedule_factor(config.noise_std_schedule, num_updates)

    def init(seed: UInt32[Array, ""], learning_rate: Float[Array, ""], noise_std: Float[Array, ""]) -> EvolutionState:
        meta_params = init_meta_params(jax.random.fold_in(jax.random.key(seed), _META_PARAMS))
        return EvolutionState(
            meta_params=meta_params,
            optimiser_state=optimiser_with_rate(learning_rate).init(meta_params),
            update=jnp.zeros((), jnp.int32),
            seed=jnp.asarray(seed, jnp.uint32),
            learning_rate=jnp.asarray(learning_rate, jnp.float32),
            noise_std=jnp.asarray(noise_std, jnp.float32),
        )

    def noise(state: EvolutionState, pair: Int[Array, ""]) -> Noise:
        return sample_noise(_key(state, _NOISE, pair), state.meta_params, config.noise_rank)

    def behaviour(state: EvolutionState, noise: Noise, sign: Float[Array, ""]) -> MetaParams:
        return perturb(state.meta_params, noise, sign * state.noise_std * std_factor(state.update))

    def lifetime_keys(state: EvolutionState, pair: Int[Array, ""]) -> PRNGKeyArray:
        return jax.random.split(_key(state, _LIFETIMES, pair), config.lifetimes_per_member)

    def summarise(experience: Experience) -> Float[Array, ""]:
        lifetime_length = experience.reward.shape[0]
        num_counted = max(1, round(config.fitness_fraction * lifetime_length))
        return jnp.mean(experience.reward[lifetime_length - num_counted :])

    def update(
        state: EvolutionState, fitness: Float[Array, "num_local_pairs 2"], noise: Noise, axis_name: str | None
    ) -> tuple[EvolutionState, EvolutionMetrics]:
        num_local_pairs = fitness.shape[0]
        population, first_local_pair = _gather(fitness, axis_name)
        weights = shape_fitness(population.reshape(-1)).reshape(-1, 2)
        pair_weights = jax.lax.dynamic_slice_in_dim(weights[:, 0] - weights[:, 1], first_local_pair, num_local_pairs)
        noise_std = state.noise_std * std_factor(state.update)
        learning_rate = state.learning_rate * rate_factor(state.update)

        ascent = weighted_sum(noise, pair_weights / (2.0 * population.shape[0] * noise_std))
        if axis_name is not None:
            ascent = jax.lax.psum(ascent, axis_name)
        descent = jax.tree.map(jnp.negative, ascent)
        changes, optimiser_state = optimiser_with_rate(learning_rate).update(
            descent, state.optimiser_state, state.meta_params
        )
        decay = 1.0 - learning_rate * config.weight_decay
        meta_params = jax.tree.map(lambda leaf, change: decay * leaf + change, state.meta_params, changes)
        metrics = EvolutionMetrics(
            fitness_mean=jnp.mean(population),
            fitness_std=jnp.std(population),
            fitness_max=jnp.max(population),
            fitness_min=jnp.min(population),
            gradient_norm=optax.global_norm(ascent),
            meta_params_norm=optax.global_norm(meta_params),
            learning_rate=learning_rate,
            noise_std=noise_std,
        )
        state = state._replace(meta_params=meta_params, optimiser_state=optimiser_state, update=state.update + 1)
        return state, metrics

    return Evolution(init, noise, behaviour, lifetime_keys, summarise, update)


def _key(state: EvolutionState, purpose: int, pair: Int[Array, ""]) -> PRNGKeyArray:
    """The key of a pair in this generation; no device and no other pair enters."""
    root = jax.random.fold_in(jax.random.key(state.seed), purpose)
    return jax.random.fold_in(jax.random.fold_in(root, state.update), pair)


def _gather(
    fitness: Float[Array, "num_local_pairs 2"], axis_name: str | None
) -> tuple[Float[Array, "num_pairs 2"], Int[Array, ""] | int]:
    """The fitness of the whole population, and where in it the local pairs begin."""
    if axis_name is None:
        return fitness, 0
    first_local_pair = jax.lax.axis_index(axis_name) * fitness.shape[0]
    return jax.lax.all_gather(fitness, axis_name, tiled=True), first_local_pair
