"""Actor-critic: gradient meta-training through the learner's own recurrence (RL², Duan et al. 2016; Wang et al. 2016).

θ itself acts. An update takes an unroll of every lifetime, reruns the learner over it from its initial learner state,
and backpropagates an actor-critic loss through messages and states. V-trace (Espeholt et al. 2018, arXiv 1802.01561)
corrects for the difference between the θ that acted and the θ that learns, which arises with several epochs or on
Sebulba.

Where an episode ends. With `discount_across_episodes`, returns continue across episode ends to the end of the lifetime,
as in RL². Without it, the return after a terminated episode is 0, and that after a truncated one is the value estimate
of its last observation. The reset that follows ignores its action, so the policy does not learn from it.
podmeta.outer.value_targets explains the values of last observations.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from podmeta.config.schema import ActorCriticConfig
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.outer.base import Entry, InstanceSettings, Metrics, Trajectory, entry_weights, fresh_meta_params
from podmeta.outer.collectives import mean_and_stack_over_devices
from podmeta.outer.gradient_loop import GradientLoop
from podmeta.outer.moments import Moments, combine, moments_of
from podmeta.outer.value_statistics import ValueStatistics, mean_and_std, no_statistics, updated_statistics
from podmeta.outer.value_targets import has_value, targets_and_advantages

_MINIBATCHES = 2  # what a key is for, beside the purposes of `gradient_loop`


class ActorCriticState(NamedTuple):
    """The state of actor-critic between updates, without lifetimes.

    Attributes:
      meta_params: θ.
      optimiser_state: the optimiser's.
      update: [] updates done, over all stages.
      settings: seed, and learning rate before its schedule.
      value_statistics: by entry, statistics of its value targets.
    """

    meta_params: MetaParams
    optimiser_state: optax.OptState
    update: Int[Array, ""]
    settings: InstanceSettings
    value_statistics: tuple[ValueStatistics, ...]


class _EntryLoss(NamedTuple):
    """The results of a gradient step for one environment on one device.

    Attributes:
      loss: [] the loss.
      averaged: metrics that are averaged over gradient steps and devices, [] by name.
      largest: metrics whose maximum is taken instead.
      targets: moments of the value targets.
    """

    loss: Float[Array, ""]
    averaged: Metrics
    largest: Metrics
    targets: Moments


@dataclasses.dataclass(frozen=True, eq=False)
class ActorCritic(GradientLoop):
    """Actor-critic. A slot is the lifetimes of each entry, usually one."""

    config: ActorCriticConfig

    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> ActorCriticState:
        """The given or a fresh θ, and a fresh optimiser and statistics."""
        if meta_params is None:
            meta_params = fresh_meta_params(self.entries, settings)
        return ActorCriticState(
            meta_params=meta_params,
            optimiser_state=self.optimiser.init(meta_params, settings.learning_rate),
            update=jnp.array(self.first_update, jnp.int32),
            settings=settings,
            value_statistics=(no_statistics(),) * len(self.entries),
        )

    def actor_view(self, state: ActorCriticState) -> ActorCriticState:
        """The state without optimiser and statistics."""
        return state._replace(optimiser_state=(), value_statistics=())

    def update(
        self,
        state: ActorCriticState,
        draws: tuple[()],
        summaries: tuple[Trajectory, ...],
        axis_name: str | None,
    ) -> tuple[ActorCriticState, Metrics]:
        """`num_epochs` passes over the trajectories [num_slots, lifetimes, ...] of every entry."""
        del draws
        num_slots = len(summaries[0].first_step)
        minibatch_size = num_slots // self.config.num_minibatches
        key = jax.random.fold_in(jax.random.fold_in(make_key(state.settings.seed), _MINIBATCHES), state.update)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))

        def step(
            state: ActorCriticState, chosen: Int[Array, "minibatch_size"]
        ) -> tuple[ActorCriticState, tuple[Metrics, Metrics]]:
            return self._step(state, jax.tree.map(lambda leaf: leaf[chosen], summaries), axis_name)

        def epoch(state: ActorCriticState, epoch_key: Array) -> tuple[ActorCriticState, tuple[Metrics, Metrics]]:
            order = jnp.arange(num_slots)
            if self.config.num_minibatches > 1:
                order = jax.random.permutation(epoch_key, num_slots)
            return jax.lax.scan(step, state, order.reshape(-1, minibatch_size))

        state, (averaged, largest) = jax.lax.scan(epoch, state, jax.random.split(key, self.config.num_epochs))
        metrics = jax.tree.map(jnp.mean, averaged) | jax.tree.map(jnp.max, largest)
        return state._replace(update=state.update + 1), metrics

    def _step(
        self, state: ActorCriticState, trajectories: tuple[Trajectory, ...], axis_name: str | None
    ) -> tuple[ActorCriticState, tuple[Metrics, Metrics]]:
        """One gradient step on trajectories [num_slots, lifetimes, ...] of every entry.

        Returns:
          The state, and the metrics to average and to take the maximum of.
        """

        def loss(meta_params: MetaParams) -> tuple[Float[Array, ""], list[_EntryLoss]]:
            by_entry = [
                self._entry_loss(entry, meta_params, of_entry, statistics, axis_name)
                for entry, of_entry, statistics in zip(self.entries, trajectories, state.value_statistics, strict=True)
            ]
            return jnp.dot(entry_weights(self.entries), jnp.stack([of_entry.loss for of_entry in by_entry])), by_entry

        gradient, by_entry = jax.grad(loss, has_aux=True)(state.meta_params)
        averaged, largest = self._metrics(by_entry)
        (gradient, averaged), (largest, targets) = mean_and_stack_over_devices(
            (gradient, averaged), (largest, [of_entry.targets for of_entry in by_entry]), axis_name
        )
        meta_params, optimiser_state, step_metrics = self.optimiser.step(
            state.meta_params, state.optimiser_state, gradient, state.settings.learning_rate, state.update
        )
        averaged |= step_metrics
        statistics = tuple(
            updated_statistics(old, combine(new)) for old, new in zip(state.value_statistics, targets, strict=True)
        )
        state = ActorCriticState(meta_params, optimiser_state, state.update, state.settings, statistics)
        return state, (averaged, jax.tree.map(jnp.max, largest))

    def _metrics(self, by_entry: list[_EntryLoss]) -> tuple[Metrics, Metrics]:
        """The metrics of all entries: those to average, and those to take the maximum of."""
        if len(self.entries) == 1:
            return by_entry[0].averaged, by_entry[0].largest
        named = list(zip(self.entries, by_entry, strict=True))
        averaged = {f"{name}/{e.name}": value for e, found in named for name, value in found.averaged.items()}
        largest = {f"{name}/{e.name}": value for e, found in named for name, value in found.largest.items()}
        fitness = jnp.stack([of_entry.averaged["fitness_mean"] for of_entry in by_entry])
        averaged["fitness_mean"] = jnp.dot(entry_weights(self.entries), fitness)
        return averaged, largest

    def _entry_loss(
        self,
        entry: Entry,
        meta_params: MetaParams,
        trajectories: Trajectory,
        statistics: ValueStatistics,
        axis_name: str | None,
    ) -> _EntryLoss:
        """The loss on one environment, on trajectories [num_slots, lifetimes, ...]."""
        config, policy = self.config, entry.inner_loop.policy
        trajectories = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), trajectories)
        outputs = jax.vmap(self.run_again, in_axes=(None, None, 0))(entry.inner_loop, meta_params, trajectories)
        experience = trajectories.experience

        over_time = jax.vmap(jax.vmap(policy.log_prob))
        policy_outputs = outputs.policy[:, :-1]
        log_probs = over_time(policy_outputs, experience.action)
        log_ratios = log_probs - over_time(experience.learner_output.policy, experience.action)
        acted = 1.0 - experience.action_ignored
        valued = has_value(config, experience)
        ratios = jnp.exp(log_ratios * acted)

        lifetime_end = trajectories.first_step + config.unroll_length >= entry.inner_loop.lifetime_length
        mean, std = mean_and_std(statistics)
        values = mean + std * outputs.value
        targets, advantages = jax.vmap(functools.partial(targets_and_advantages, config))(
            jax.lax.stop_gradient(values), jax.lax.stop_gradient(ratios), experience, lifetime_end
        )
        if config.normalise_advantages:
            advantages = _normalised(advantages, acted, axis_name)
        if config.ppo_clip > 0:
            clipped = jnp.clip(ratios, 1.0 - config.ppo_clip, 1.0 + config.ppo_clip)
            policy_loss = -jnp.minimum(ratios * advantages, clipped * advantages)
        else:
            policy_loss = -log_probs * advantages
        value_loss = 0.5 * ((targets - values[:, :-1]) / std) ** 2
        entropy = jax.vmap(jax.vmap(policy.entropy))(policy_outputs)
        policy_terms = acted * (policy_loss - config.entropy_cost * entropy)
        averaged = {
            "fitness_mean": jnp.mean(experience.reward),
            "episode_end_rate": jnp.mean(experience.episode_end),
            "policy_loss": jnp.mean(acted * policy_loss),
            "value_loss": jnp.mean(valued * value_loss),
            "entropy": jnp.mean(entropy),
        }
        return _EntryLoss(
            loss=jnp.mean(policy_terms + config.value_cost * valued * value_loss),
            averaged=averaged,
            # Ratios are above 0, which therefore says that no action counted.
            largest={"importance_ratio_max": jnp.max(ratios, where=acted > 0, initial=0.0)},
            targets=moments_of(targets, valued),
        )


def make_actor_critic(
    config: ActorCriticConfig, entries: tuple[Entry, ...], num_updates: int, first_update: int = 0
) -> ActorCritic:
    """Actor-critic of one θ on the environments of `entries`, over a stage of `num_updates` updates.

    `first_update` is the number of updates that earlier stages have done.

    Raises:
      InputError: a lifetime does not divide into unrolls, or an unroll into chunks, or the optimiser does not work.
    """
    actor_critic = ActorCritic(config, entries, num_updates, first_update)
    actor_critic.check()
    return actor_critic


def _normalised(
    advantages: Float[Array, "lifetimes unroll_length"],
    acted: Float[Array, "lifetimes unroll_length"],
    axis_name: str | None,
) -> Float[Array, "lifetimes unroll_length"]:
    """Scales to mean 0 and standard deviation 1, over all devices and the actions that count."""
    _, by_device = mean_and_stack_over_devices((), moments_of(advantages, acted), axis_name)
    moments = combine(by_device)
    return (advantages - moments.mean) * jax.lax.rsqrt(jnp.maximum(moments.variance, 1e-8))
