"""Evolution: antithetic OpenAI-ES (Salimans et al. 2017, arXiv 1703.03864).

A generation perturbs θ into members, in pairs θ ± σε. The fitness of a member is the reward of its lifetimes. The
fitnesses, shaped over the whole population, weight the noise into a gradient:

    g = 1 / (2 n σ) * sum over the n pairs of (w_plus - w_minus) ε

The noise of a pair depends only on (seed, generation, pair), so that any device can regenerate it. Devices exchange one
fitness per member and one partial gradient per device. Both members of a pair live the same lifetimes (common random
numbers).

With `unroll_length` set, an update takes that many env steps of lifetimes that continue across updates, and a pair
keeps its noise for a whole lifetime: noise-reuse evolution strategies (Li et al. 2023, arXiv 2304.12180), an unbiased
estimator like Persistent ES (Vicol et al. 2021, arXiv 2112.13835) with less variance. Pairs are staggered, so that an
update covers every part of a lifetime.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from podmeta.config.schema import EvolutionConfig
from podmeta.errors import InputError
from podmeta.inner_loop import Experience
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.outer.base import Entry, InstanceSettings, Metrics, OuterLoop, Trajectory, entry_weights, fresh_meta_params
from podmeta.outer.collectives import sum_over_devices
from podmeta.outer.meta_optimiser import MetaOptimiser, OptimisedState
from podmeta.outer.moments import moments_of
from podmeta.outer.optimisers import make_schedule_factor
from podmeta.outer.perturbations import (
    Perturbation,
    only,
    parameter_names,
    perturb,
    sample_noise,
    unused_beginnings,
    weighted_sum,
)
from podmeta.outer.shaping import SHAPINGS
from podmeta.outer.staggering import lifetimes_begun

_NOISE, _LIFETIMES = 1, 2  # what a key is for
_SIGNS = np.array([1.0, -1.0], np.float32)  # of the members of a pair


@dataclasses.dataclass(frozen=True, eq=False)
class Evolution(OuterLoop):
    """Evolution, whose slots are antithetic pairs."""

    config: EvolutionConfig

    num_members = len(_SIGNS)
    uses_actor_outputs = False
    requires_on_policy = True

    @property
    def unroll_lengths(self) -> tuple[int, ...]:
        """By entry; whole lifetimes unless `unroll_length` is set."""
        return tuple(self.config.unroll_length or entry.inner_loop.lifetime_length for entry in self.entries)

    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> OptimisedState:
        """The given or a fresh θ, and a fresh optimiser."""
        if meta_params is None:
            meta_params = fresh_meta_params(self.entries, settings)
        optimiser_state = self._optimiser.init(meta_params, settings.learning_rate)
        return OptimisedState(meta_params, optimiser_state, jnp.array(self.first_update, jnp.int32), settings)

    def actor_view(self, state: OptimisedState) -> OptimisedState:
        """The state without the optimiser."""
        return state._replace(optimiser_state=())

    def draw(self, state: OptimisedState, slot: Int[Array, ""]) -> Perturbation:
        """ε of a pair: the same on every device, and for a whole lifetime; 0 for parameters that do not evolve."""
        noise = sample_noise(self._key(state, _NOISE, state.update, slot), state.meta_params, self.config.noise_rank)
        return only(self.config.evolved, state.meta_params, noise) if self.config.evolved else noise

    def actor_params(self, state: OptimisedState, draw: Perturbation, member: Int[Array, ""]) -> MetaParams:
        """θ + σ ε for the first member of a pair, and θ - σ ε for the second."""
        return perturb(state.meta_params, draw, jnp.asarray(_SIGNS)[member] * self._noise_std(state))

    def lifetime_keys(
        self, state: OptimisedState, update: Int[Array, ""], slot: Int[Array, ""]
    ) -> tuple[Key[Array, "_"], ...]:
        """By entry, the keys [lifetimes] of the lifetimes that both members of a pair live."""
        keys = jax.random.split(self._key(state, _LIFETIMES, update, slot), len(self.entries))
        return tuple(jax.random.split(k, entry.lifetimes) for k, entry in zip(keys, self.entries, strict=True))

    def summarise(self, trajectories: tuple[Trajectory, ...]) -> Float[Array, "num_members num_entries"]:
        """The fitness of both members of a pair in each environment, which is all that devices exchange."""
        fitness = [
            jnp.mean(jax.vmap(jax.vmap(lambda one, entry=entry: self._fitness(entry, one)))(of_entry), axis=1)
            for entry, of_entry in zip(self.entries, trajectories, strict=True)
        ]
        return jnp.stack(fitness, axis=1)

    def update(
        self,
        state: OptimisedState,
        draws: Perturbation,
        summaries: Float[Array, "num_slots num_members num_entries"],
        axis_name: str | None,
    ) -> tuple[OptimisedState, Metrics]:
        """One optimiser step along the gradient of the whole population."""
        population, first_slot = _gather(summaries, axis_name)
        weights = jnp.tensordot(self._shaped(population), entry_weights(self.entries), axes=1)
        local = jax.lax.dynamic_slice_in_dim(weights[:, 0] - weights[:, 1], first_slot, len(summaries))
        local_ascent = weighted_sum(draws, local / (2.0 * len(population) * self._noise_std(state)))
        descent = jax.tree.map(jnp.negative, sum_over_devices(local_ascent, axis_name))
        meta_params, optimiser_state, metrics = self._optimiser.step(
            state.meta_params, state.optimiser_state, descent, state.settings.learning_rate, state.update
        )
        metrics |= self._population_metrics(population) | {"noise_std": self._noise_std(state)}
        return OptimisedState(meta_params, optimiser_state, state.update + 1, state.settings), metrics

    def _fitness(self, entry: Entry, trajectory: Trajectory) -> Float[Array, ""]:
        """What an unroll of one lifetime adds to the fitness.

        Its mean over the unrolls of a lifetime is the mean reward over the last `fitness_fraction` of the lifetime, or
        over its first and last fifths. Expected advantages are averaged over the actions that were not ignored.
        """
        experience, lifetime_length = trajectory.experience, entry.inner_loop.lifetime_length
        if self.config.fitness == "expected_advantage" and experience.expected_advantage is not None:
            weights = self._step_weights(trajectory, lifetime_length)
            counted = jnp.where(experience.action_ignored, 0.0, weights)
            total = jnp.sum(counted * experience.expected_advantage)
            return jnp.mean(weights) * total / jnp.maximum(jnp.sum(counted), jnp.finfo(jnp.float32).tiny)
        rewards = self._judged(experience)
        if self.config.fitness_weighting != "uniform":
            return jnp.mean(rewards * self._step_weights(trajectory, lifetime_length))
        num_counted = self._num_counted(lifetime_length)
        unroll_length = rewards.shape[0]
        if unroll_length == lifetime_length:
            return jnp.mean(rewards[lifetime_length - num_counted :])
        if num_counted == lifetime_length:
            return jnp.mean(rewards)
        counted = trajectory.first_step + jnp.arange(unroll_length) >= lifetime_length - num_counted
        return jnp.mean(jnp.where(counted, rewards, 0.0)) * (lifetime_length / num_counted)

    def _num_counted(self, lifetime_length: int) -> int:
        """The number of env steps at the end of a lifetime that count for the fitness."""
        return max(1, round(self.config.fitness_fraction * lifetime_length))

    def _step_weights(self, trajectory: Trajectory, lifetime_length: int) -> Float[Array, "unroll_length"]:
        """The weights of the env steps of an unroll. Their mean over a lifetime is 1."""
        steps = trajectory.first_step + jnp.arange(trajectory.experience.reward.shape[0])
        if self.config.fitness_weighting == "first_and_last_fifth":
            fifth = max(1, lifetime_length // 5)
            ends = jnp.float32(steps < fifth) + jnp.float32(steps >= lifetime_length - fifth)
            return ends * (lifetime_length / (2 * fifth))
        num_counted = self._num_counted(lifetime_length)
        return jnp.float32(steps >= lifetime_length - num_counted) * (lifetime_length / num_counted)

    def _judged(self, experience: Experience) -> Float[Array, "num_steps"]:
        """The reward of every env step, or its expectation under the policy."""
        if self.config.fitness == "expected_reward" and experience.expected_reward is not None:
            return experience.expected_reward
        return experience.reward

    def _population_metrics(self, population: Float[Array, "num_pairs num_members num_entries"]) -> Metrics:
        total = jnp.tensordot(population, entry_weights(self.entries), axes=1)
        metrics = {
            "fitness_mean": jnp.mean(total),
            "fitness_std": jnp.sqrt(moments_of(total).variance),
            "fitness_max": jnp.max(total),
            "fitness_min": jnp.min(total),
        }
        if len(self.entries) > 1:
            means = jnp.mean(population, axis=(0, 1))
            metrics |= {f"fitness_mean/{entry.name}": means[i] for i, entry in enumerate(self.entries)}
        return metrics

    def _shaped(
        self, population: Float[Array, "num_pairs num_members num_entries"]
    ) -> Float[Array, "num_pairs num_members num_entries"]:
        """Fitness, shaped separately in each environment, so that a large scale of reward does not dominate."""
        shape = SHAPINGS[self.config.fitness_shaping]
        flat = population.reshape(-1, len(self.entries))
        return jax.vmap(shape, in_axes=1, out_axes=1)(flat).reshape(population.shape)

    @property
    def _optimiser(self) -> MetaOptimiser:
        return MetaOptimiser(self.config, self.num_updates, self.first_update, weight_decay=self.config.weight_decay)

    def _noise_std(self, state: OptimisedState) -> Float[Array, ""]:
        factor = make_schedule_factor(self.config.noise_std_schedule, self.num_updates)
        return state.settings.noise_std * factor(state.update - self.first_update)

    def _key(self, state: OptimisedState, purpose: int, update: Int[Array, ""], pair: Int[Array, ""]) -> PRNGKeyArray:
        """The key of a pair for its lifetime in an update. It depends on no device and no other pair.

        Lifetimes are counted from `first_update` and never outnumber updates, so no stage uses another stage's keys.
        """
        num_unrolls = self.unrolls_per_lifetime[0]  # the same for all entries
        lifetime = self.first_update + lifetimes_begun(update - self.first_update, pair, num_unrolls)
        root = jax.random.fold_in(make_key(state.settings.seed), purpose)
        return jax.random.fold_in(jax.random.fold_in(root, lifetime), pair)


def make_evolution(
    config: EvolutionConfig, entries: tuple[Entry, ...], num_updates: int, first_update: int = 0
) -> Evolution:
    """Evolution of one θ on the environments of `entries`, over a stage of `num_updates` updates.

    `first_update` is the number of updates that earlier stages have done.

    Raises:
      InputError: lifetimes do not divide into unrolls, no environment knows the chosen fitness, two keys weight the env
        steps of a lifetime, or the optimiser does not work.
    """
    lengths = {entry.inner_loop.lifetime_length for entry in entries}
    if config.unroll_length and (len(lengths) > 1 or max(lengths) % config.unroll_length != 0):
        raise InputError(
            f"outer.unroll_length={config.unroll_length} must divide the lifetime_length of every environment, which "
            f"must be the same for all: {sorted(lengths)}"
        )
    if config.fitness == "expected_reward" and not any(entry.inner_loop.knows_expected_reward for entry in entries):
        raise InputError(
            "outer.fitness=expected_reward needs an environment that knows it, such as bandits: take reward"
        )
    teachers_known = any(entry.inner_loop.knows_expected_advantages for entry in entries)
    if config.fitness == "expected_advantage" and not teachers_known:
        raise InputError(
            "outer.fitness=expected_advantage needs an environment with a teacher, and none of "
            f"{', '.join(entry.name for entry in entries)} has one: take linear_control, random_mdp or oscillator with "
            "discrete actions, or outer.fitness=reward"
        )
    if config.fitness_weighting != "uniform" and config.fitness_fraction != 1:
        raise InputError(
            f"outer.fitness_weighting={config.fitness_weighting} and outer.fitness_fraction={config.fitness_fraction} "
            "both say which env steps count: set outer.fitness_fraction=1 or outer.fitness_weighting=uniform"
        )
    evolution = Evolution(config, entries, num_updates, first_update)
    meta_params = jax.eval_shape(entries[0].inner_loop.init, make_key(0))
    unused = unused_beginnings(config.evolved, meta_params)
    if unused:
        raise InputError(
            f"outer.evolved={config.evolved}: no parameter of θ begins with {', '.join(unused)}; they are "
            f"{', '.join(sorted(parameter_names(meta_params)))}"
        )
    evolution._optimiser.check(meta_params)
    return evolution


def _gather(
    fitness: Float[Array, "num_local_pairs num_members num_entries"], axis_name: str | None
) -> tuple[Float[Array, "num_pairs num_members num_entries"], Int[Array, ""] | int]:
    """The fitness of the whole population, and the index of the first local pair."""
    if axis_name is None:
        return fitness, 0
    first_local_pair = jax.lax.axis_index(axis_name) * fitness.shape[0]
    return jax.lax.all_gather(fitness, axis_name, tiled=True), first_local_pair
