"""Evolution: antithetic OpenAI-ES (Salimans et al. 2017, arXiv 1703.03864).

A generation perturbs θ into members, in pairs θ ± σε. Each member lives its lifetimes, its fitness is what it earned,
and the fitnesses, shaped over the whole population, weight the noise into a gradient:

    g = 1 / (2 n σ) * sum over the n pairs of (w_plus - w_minus) ε

The noise of a pair comes from (seed, generation, pair) alone, so that any device can make it again; what travels is
one fitness per member and one partial gradient per device. Both members of a pair live the same lifetimes (common
random numbers).

With `unroll_length` set, an update looks at that many env steps of lifetimes that go on across updates, and a pair
keeps its noise for a whole lifetime: noise-reuse evolution strategies (Li et al. 2023, arXiv 2304.12180), an unbiased
estimator like Persistent ES (Vicol et al. 2021, arXiv 2112.13835) with less variance. Pairs are staggered, so that an
update sees every part of a lifetime.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from podmeta.config.schema import EvolutionConfig
from podmeta.errors import InputError
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.lifetimes import Experience
from podmeta.outer.base import (
    Entry,
    InstanceSettings,
    Metrics,
    OuterLoop,
    RowLifetimes,
    SplitOuterLoop,
    Trajectory,
)
from podmeta.outer.exchange import sum_over_devices
from podmeta.outer.moments import moments_of
from podmeta.outer.optimisers import check_optimiser, make_optimiser, make_schedule_factor
from podmeta.outer.perturbations import Noise, perturb, sample_noise, weighted_sum
from podmeta.outer.shaping import SHAPINGS

_META_PARAMS, _NOISE, _LIFETIMES = range(3)  # what a key is for
_SIGNS = np.array([1.0, -1.0], np.float32)  # of the members of a pair


class EvolutionState(NamedTuple):
    """All that evolution carries from one generation to the next.

    Attributes:
      meta_params: θ.
      optimiser_state: the optimiser's.
      update: [] generations done, over all stages.
      settings: seed, and learning rate and σ before their schedules.
    """

    meta_params: MetaParams
    optimiser_state: optax.OptState
    update: Int[Array, ""]
    settings: InstanceSettings


class PairSummary(NamedTuple):
    """What a pair contributes to an update.

    Attributes:
      fitness: [2, num_entries] of the members plus and minus, in each environment. It is all that travels.
      noise: ε, which stays on the device that made it.
    """

    fitness: Float[Array, "*num_pairs 2 num_entries"]
    noise: Noise


class Evolution(NamedTuple):
    """The steps of evolution, of which `evolution_outer_loop` and `split_evolution` make an outer loop.

    Attributes:
      config: the config.
      entries: the environments.
      num_updates: the length of the stage, which the schedules run over.
      updates_per_lifetime: 1, or the number of unrolls in a lifetime.
      first_update: updates that earlier stages have done.
    """

    config: EvolutionConfig
    entries: tuple[Entry, ...]
    num_updates: int
    updates_per_lifetime: int
    first_update: int

    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> EvolutionState:
        """θ, fresh unless it is given, and an optimiser that has seen nothing."""
        if meta_params is None:
            key = jax.random.fold_in(make_key(settings.seed), _META_PARAMS)
            meta_params = self.entries[0].inner_loop.init(key)
        optimiser_state = self._optimiser(settings.learning_rate).init(meta_params)
        return EvolutionState(meta_params, optimiser_state, jnp.array(self.first_update, jnp.int32), settings)

    def noise(self, state: EvolutionState, pair: Int[Array, ""]) -> Noise:
        """ε of a pair: the same on every device, and for a whole lifetime."""
        return sample_noise(self._key(state, _NOISE, pair), state.meta_params, self.config.noise_rank)

    def behaviour(self, state: EvolutionState, noise: Noise, sign: Float[Array, ""]) -> MetaParams:
        """θ + sign σ ε."""
        return perturb(state.meta_params, noise, sign * self._noise_std(state))

    def lifetime_keys(self, state: EvolutionState, pair: Int[Array, ""]) -> tuple[Key[Array, "_"], ...]:
        """By entry, the keys [lifetimes] of the lifetimes that both members of a pair live."""
        keys = jax.random.split(self._key(state, _LIFETIMES, pair), len(self.entries))
        return tuple(jax.random.split(k, entry.lifetimes) for k, entry in zip(keys, self.entries, strict=True))

    def summarise(self, experience: Experience) -> Float[Array, ""]:
        """The fitness of what a member lived, [lifetime_length, ...]: its mean reward over the last part of it."""
        rewards = self._judged(experience)
        return jnp.mean(rewards[rewards.shape[0] - self._num_counted(rewards.shape[0]) :])

    def summarise_unroll(
        self, experience: Experience, first_step: Int[Array, ""], lifetime_length: int
    ) -> Float[Array, ""]:
        """What an unroll adds to the fitness. Its mean over the unrolls of a lifetime is the lifetime's fitness.

        Args:
          experience: [unroll_length, ...] what happened.
          first_step: [] env steps of the lifetime before the unroll.
          lifetime_length: env steps of a lifetime.
        """
        rewards, num_counted = self._judged(experience), self._num_counted(lifetime_length)
        if num_counted == lifetime_length:
            return jnp.mean(rewards)
        counted = first_step + jnp.arange(rewards.shape[0]) >= lifetime_length - num_counted
        return jnp.mean(jnp.where(counted, rewards, 0.0)) * (lifetime_length / num_counted)

    def _judged(self, experience: Experience) -> Float[Array, "num_steps"]:
        """The reward of every env step, or what the policy expected of it."""
        if self.config.fitness == "expected_reward" and experience.expected_reward is not None:
            return experience.expected_reward
        return experience.reward

    def _num_counted(self, lifetime_length: int) -> int:
        """Env steps at the end of a lifetime that make up the fitness."""
        return max(1, round(self.config.fitness_fraction * lifetime_length))

    def birth(self, state: EvolutionState, pair: Int[Array, ""]) -> RowLifetimes:
        """The lifetimes of both members at their first env step, where they go on across updates; else ()."""
        if self.updates_per_lifetime == 1:
            return ()
        noise = self.noise(state, pair)
        return self._both(lambda sign: self._born(state, noise, pair, sign))

    def live(
        self, state: EvolutionState, pair: Int[Array, ""], lifetimes: RowLifetimes
    ) -> tuple[RowLifetimes, PairSummary]:
        """Both members of a pair live on, for whole lifetimes or for one unroll."""
        noise = self.noise(state, pair)
        if self.updates_per_lifetime == 1:
            fitness = self._both(lambda sign: self._live_whole(state, noise, pair, sign))
            return (), PairSummary(fitness, noise)
        starts = (state.update - self.first_update + pair) % self.updates_per_lifetime == 0
        born = self.birth(state, pair)
        lifetimes = jax.tree.map(lambda new, old: jnp.where(starts, new, old), born, lifetimes)
        lifetimes, fitness = jax.vmap(lambda sign, lives: self._live_on(state, noise, lives, sign))(_SIGNS, lifetimes)
        return lifetimes, PairSummary(fitness, noise)

    def update(
        self, state: EvolutionState, summaries: PairSummary, axis_name: str | None
    ) -> tuple[EvolutionState, Metrics]:
        """One step of the optimiser along the gradient that the whole population has found."""
        population, first_local_pair = _gather(summaries.fitness, axis_name)
        num_pairs, num_local_pairs = population.shape[0], summaries.fitness.shape[0]
        weights = jnp.tensordot(self._shaped(population), self._entry_weights(), axes=1)
        local = jax.lax.dynamic_slice_in_dim(weights[:, 0] - weights[:, 1], first_local_pair, num_local_pairs)
        local_ascent = weighted_sum(summaries.noise, local / (2.0 * num_pairs * self._noise_std(state)))
        ascent = sum_over_devices(local_ascent, axis_name)

        learning_rate = state.settings.learning_rate * self._rate_factor(state.update)
        changes, optimiser_state = self._optimiser(learning_rate).update(
            jax.tree.map(jnp.negative, ascent), state.optimiser_state, state.meta_params
        )
        decay = 1.0 - learning_rate * self.config.weight_decay
        meta_params = jax.tree.map(lambda leaf, change: decay * leaf + change, state.meta_params, changes)
        total = jnp.tensordot(population, self._entry_weights(), axes=1)
        metrics = {
            "fitness_mean": jnp.mean(total),
            "fitness_std": jnp.sqrt(moments_of(total).variance),
            "fitness_max": jnp.max(total),
            "fitness_min": jnp.min(total),
            "gradient_norm": optax.tree.norm(ascent),
            "meta_params_norm": optax.tree.norm(meta_params),
            "learning_rate": learning_rate,
            "noise_std": self._noise_std(state),
        }
        if len(self.entries) > 1:
            means = jnp.mean(population, axis=(0, 1))
            metrics |= {f"fitness_mean/{entry.name}": means[i] for i, entry in enumerate(self.entries)}
        return EvolutionState(meta_params, optimiser_state, state.update + 1, state.settings), metrics

    def _live_whole(
        self, state: EvolutionState, noise: Noise, pair: Int[Array, ""], sign: Float[Array, ""]
    ) -> Float[Array, "num_entries"]:
        meta_params = self.behaviour(state, noise, sign)
        fitness = [
            jnp.mean(jax.vmap(lambda key, loop=entry.inner_loop: self.summarise(loop.live(meta_params, key)))(keys))
            for entry, keys in zip(self.entries, self.lifetime_keys(state, pair), strict=True)
        ]
        return jnp.stack(fitness)

    def _born(self, state: EvolutionState, noise: Noise, pair: Int[Array, ""], sign: Float[Array, ""]) -> tuple:
        meta_params = self.behaviour(state, noise, sign)
        return tuple(
            jax.vmap(entry.inner_loop.birth, in_axes=(None, 0))(meta_params, keys)
            for entry, keys in zip(self.entries, self.lifetime_keys(state, pair), strict=True)
        )

    def _live_on(
        self, state: EvolutionState, noise: Noise, lifetimes: tuple, sign: Float[Array, ""]
    ) -> tuple[tuple, Float[Array, "num_entries"]]:
        meta_params = self.behaviour(state, noise, sign)
        lived, fitness = [], []
        for entry, entry_lifetimes in zip(self.entries, lifetimes, strict=True):

            def unroll(lifetime: Any, entry: Entry = entry) -> tuple[Any, Float[Array, ""]]:
                first_step = lifetime.num_steps
                lifetime, experience = entry.inner_loop.unroll(meta_params, lifetime, self.config.unroll_length)
                return lifetime, self.summarise_unroll(experience, first_step, entry.inner_loop.lifetime_length)

            entry_lifetimes, entry_fitness = jax.vmap(unroll)(entry_lifetimes)
            lived.append(entry_lifetimes)
            fitness.append(jnp.mean(entry_fitness))
        return tuple(lived), jnp.stack(fitness)

    def _both(self, member: Any) -> Any:
        """What a function of the sign gives for both members of a pair, [2, ...]."""
        return jax.vmap(member)(_SIGNS)

    def _shaped(self, population: Float[Array, "num_pairs 2 num_entries"]) -> Float[Array, "num_pairs 2 num_entries"]:
        """Fitness shaped in each environment by itself, so that a large scale of reward drowns no other."""
        shape = SHAPINGS[self.config.fitness_shaping]
        flat = population.reshape(-1, len(self.entries))
        return jax.vmap(shape, in_axes=1, out_axes=1)(flat).reshape(population.shape)

    def _entry_weights(self) -> Float[Array, "num_entries"]:
        weights = jnp.array([entry.weight for entry in self.entries])
        return weights / jnp.sum(weights)

    def _optimiser(self, learning_rate: Float[Array, ""]) -> optax.GradientTransformation:
        return make_optimiser(self.config.optimiser, self.config.optimiser_arguments)(learning_rate)

    def _rate_factor(self, update: Int[Array, ""]) -> Float[Array, ""]:
        return make_schedule_factor(self.config.learning_rate_schedule, self.num_updates)(update - self.first_update)

    def _noise_std(self, state: EvolutionState) -> Float[Array, ""]:
        factor = make_schedule_factor(self.config.noise_std_schedule, self.num_updates)
        return state.settings.noise_std * factor(state.update - self.first_update)

    def _key(self, state: EvolutionState, purpose: int, pair: Int[Array, ""]) -> PRNGKeyArray:
        """The key of a pair in its current lifetime; no device and no other pair enters.

        Lifetimes are counted from `first_update`, and are never more than updates: no stage uses another's keys.
        """
        updates = state.update - self.first_update + pair % self.updates_per_lifetime
        lifetime = self.first_update + updates // self.updates_per_lifetime
        root = jax.random.fold_in(make_key(state.settings.seed), purpose)
        return jax.random.fold_in(jax.random.fold_in(root, lifetime), pair)


def make_evolution(
    config: EvolutionConfig, entries: tuple[Entry, ...], num_updates: int, first_update: int = 0
) -> Evolution:
    """Evolution of one θ on the environments of `entries`, over a stage of `num_updates` updates.

    `first_update` is the number of updates that earlier stages have done.

    Raises:
      InputError: lifetimes do not divide into unrolls, the expected reward is asked for and nowhere known, or the
        optimiser does not work.
    """
    lengths = {entry.inner_loop.lifetime_length for entry in entries}
    unroll_length = config.unroll_length or max(lengths)
    if config.unroll_length and (len(lengths) > 1 or max(lengths) % unroll_length != 0):
        raise InputError(
            f"outer.unroll_length={unroll_length} must divide the lifetime_length of every environment, which must be "
            f"the same for all: {sorted(lengths)}"
        )
    if config.fitness == "expected_reward" and not any(entry.inner_loop.knows_expected_reward for entry in entries):
        raise InputError(
            "outer.fitness=expected_reward needs an environment that knows it, such as bandits: take reward"
        )
    meta_params = jax.eval_shape(entries[0].inner_loop.init, make_key(0))
    check_optimiser(config.optimiser, config.optimiser_arguments, meta_params)
    updates_per_lifetime = max(lengths) // unroll_length if config.unroll_length else 1
    return Evolution(config, entries, num_updates, updates_per_lifetime, first_update)


def evolution_outer_loop(evolution: Evolution) -> OuterLoop:
    """Evolution as an outer loop, whose rows are antithetic pairs."""
    config = evolution.config
    env_steps = config.population_size * sum(
        entry.lifetimes * entry.inner_loop.lifetime_length // evolution.updates_per_lifetime
        for entry in evolution.entries
    )
    return OuterLoop(
        config.population_size // 2, evolution.init, evolution.birth, evolution.live, evolution.update, env_steps
    )


def split_evolution(evolution: Evolution) -> SplitOuterLoop:
    """Evolution split between actors and a learner. Fitnesses travel; either side makes the noise of a pair itself.

    Raises:
      InputError: lifetimes are to go on across updates.
    """
    whole, entries = evolution_outer_loop(evolution), evolution.entries
    if evolution.updates_per_lifetime > 1:
        raise InputError(
            f"outer.unroll_length={evolution.config.unroll_length}, but evolution on host environments judges whole "
            "lifetimes: set outer.unroll_length=0"
        )

    def behaviour(state: EvolutionState, pairs: Int[Array, "n"]) -> MetaParams:
        def of_pair(pair: Int[Array, ""]) -> MetaParams:
            noise = evolution.noise(state, pair)
            return jax.vmap(lambda sign: evolution.behaviour(state, noise, sign))(_SIGNS)

        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.vmap(of_pair)(pairs))

    def lifetime_keys(
        state: EvolutionState, update: Int[Array, ""], pairs: Int[Array, "n"]
    ) -> tuple[Key[Array, "_"], ...]:
        keys = jax.vmap(evolution.lifetime_keys, in_axes=(None, 0))(state._replace(update=update), pairs)
        return tuple(jnp.repeat(of_entry[:, None], len(_SIGNS), axis=1).reshape(-1) for of_entry in keys)

    def summarise(trajectories: tuple[Trajectory, ...]) -> Float[Array, "n 2 num_entries"]:
        fitness = [
            jnp.mean(jax.vmap(evolution.summarise)(of_entry.experience).reshape(-1, len(_SIGNS), entry.lifetimes), 2)
            for entry, of_entry in zip(entries, trajectories, strict=True)
        ]
        return jnp.stack(fitness, axis=-1)

    def update(
        state: EvolutionState, pairs: Int[Array, "n"], fitness: Float[Array, "n 2 num_entries"], axis_name: str | None
    ) -> tuple[EvolutionState, Metrics]:
        noise = jax.vmap(evolution.noise, in_axes=(None, 0))(state, pairs)
        return evolution.update(state, PairSummary(fitness, noise), axis_name)

    return SplitOuterLoop(
        entries,
        whole.num_rows,
        lifetimes_per_row=tuple(len(_SIGNS) * entry.lifetimes for entry in entries),
        unroll_lengths=tuple(entry.inner_loop.lifetime_length for entry in entries),
        members_per_row=len(_SIGNS),
        needs_decisions=False,
        needs_newest=True,
        init=evolution.init,
        acting=lambda state: state._replace(optimiser_state=()),
        behaviour=behaviour,
        lifetime_keys=lifetime_keys,
        summarise=summarise,
        update=update,
        env_steps=whole.env_steps,
    )


def _gather(
    fitness: Float[Array, "num_local_pairs 2 num_entries"], axis_name: str | None
) -> tuple[Float[Array, "num_pairs 2 num_entries"], Int[Array, ""] | int]:
    """The fitness of the whole population, and where in it the local pairs begin."""
    if axis_name is None:
        return fitness, 0
    first_local_pair = jax.lax.axis_index(axis_name) * fitness.shape[0]
    return jax.lax.all_gather(fitness, axis_name, tiled=True), first_local_pair
