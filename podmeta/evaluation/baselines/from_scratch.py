"""Ordinary RL instead of a learned algorithm: a fresh policy, trained by gradients within one lifetime.

It is podmeta's actor-critic, with a feed-forward policy, for one lifetime: the same number of env steps as the learned
algorithm has, on the same task. This is what a user would do without a learned algorithm. It does not show what
gradient descent reaches in the long run.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from podmeta.architectures.sebulba.entry_actor import ActorState, EntryActor, environment_seeds
from podmeta.config.schema import ActorCriticConfig, EnvironmentConfig, HostEnvironmentConfig, RecurrentConfig
from podmeta.environments.host.registry import lives_on_host, patient_host_environment
from podmeta.evaluation.on_host import host_batches
from podmeta.evaluation.rollouts import TASKS_PER_BATCH, Lifetimes, measure
from podmeta.inner_loop import LifetimeState, build_inner_loop
from podmeta.learners.base import LearnerState
from podmeta.outer.actor_critic import ActorCritic, ActorCriticState, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings, Trajectory

LONGEST_UNROLL = 32
FEWEST_UPDATES = (
    8  # in lifetimes of at least 16 env steps: otherwise a short lifetime would end before it is learned from
)

POLICY = RecurrentConfig(cell="none", torso_layers=[64], scale_observations=True)


class _Training(NamedTuple):
    """A policy and the lifetime that it is trained in."""

    outer: ActorCriticState
    lifetime: LifetimeState


_A2C = ActorCriticConfig(num_lifetimes=1, discount_across_episodes=False, td_lambda=0.95, learning_rate=0.003)

ALGORITHMS = {"a2c": _A2C, "ppo": dataclasses.replace(_A2C, ppo_clip=0.2, num_epochs=4)}
"""The config of the actor-critic by algorithm, but for `unroll_length`, which depends on the lifetime."""


def unroll_length(lifetime_length: int) -> int:
    """Env steps between two updates: `LONGEST_UNROLL`, or fewer in a short lifetime, so that it holds several updates.

    At least 2: advantages are normalised over an unroll, and that of a single env step would always be 0.
    """
    return max(2, min(LONGEST_UNROLL, lifetime_length // FEWEST_UPDATES))


def rollout_from_scratch(
    algorithm: str, environment_config: EnvironmentConfig, keys: Key[Array, "num_tasks"]
) -> Lifetimes:
    """One lifetime per key, in which a fresh policy is trained.

    Args:
      algorithm: a name in `ALGORITHMS`.
      environment_config: where.
      keys: of the lifetimes; equal keys give equal tasks here and for a learned algorithm.
    """
    if lives_on_host(environment_config):
        return _rollout_on_host(algorithm, environment_config, keys)
    lifetime = make_lifetime(algorithm, environment_config)
    live_all = jax.jit(lambda keys: jax.lax.map(lifetime, keys, batch_size=TASKS_PER_BATCH))
    return Lifetimes(*jax.tree.map(np.asarray, live_all(keys)))


class _Trainer(NamedTuple):
    """What trains a fresh policy in a lifetime.

    Attributes:
      entry: the policy in the environment. Its lifetime is of whole unrolls, and so may be longer than was asked for.
      actor_critic: what updates the policy.
      unroll: env steps between two updates.
      num_updates: of a lifetime.
    """

    entry: Entry
    actor_critic: ActorCritic
    unroll: int
    num_updates: int

    def init(self, key: PRNGKeyArray) -> ActorCriticState:
        """The state in which the lifetime of a key begins."""
        learning_rate = jnp.float32(self.actor_critic.config.learning_rate)
        return self.actor_critic.init(InstanceSettings(jax.random.bits(key), learning_rate, jnp.float32(0)))

    def update(self, state: ActorCriticState, trajectory: Trajectory) -> ActorCriticState:
        """The state after the update by an unroll of the lifetime."""
        summaries = (jax.tree.map(lambda leaf: leaf[None, None], trajectory),)
        return self.actor_critic.update(state, (), summaries, None)[0]


def _make_trainer(algorithm: str, environment_config: EnvironmentConfig) -> _Trainer:
    length = environment_config.lifetime_length
    unroll = unroll_length(length)
    num_updates = -(-length // unroll)
    longer = dataclasses.replace(environment_config, lifetime_length=num_updates * unroll)
    config = dataclasses.replace(ALGORITHMS[algorithm], unroll_length=unroll)
    entry = Entry(environment_config.name, build_inner_loop(POLICY, longer), lifetimes=1, weight=1.0)
    return _Trainer(entry, make_actor_critic(config, (entry,), num_updates), unroll, num_updates)


def make_lifetime(
    algorithm: str, environment_config: EnvironmentConfig
) -> Callable[[PRNGKeyArray], tuple[Array, Array, Array, Array | None]]:
    """key -> what is measured of one lifetime, in which a fresh policy is trained."""
    trainer = _make_trainer(algorithm, environment_config)
    inner_loop, unroll = trainer.entry.inner_loop, trainer.unroll

    def rollout(key: PRNGKeyArray) -> tuple[Array, Array, Array, Array | None]:
        state = trainer.init(key)
        lifetime = inner_loop.reset(state.meta_params, key)

        def update(training: _Training, index: Array) -> tuple[_Training, tuple[Array, Array, Array, Array | None]]:
            learner_state = training.lifetime.learner_state
            lifetime, experience = inner_loop.unroll(training.outer.meta_params, training.lifetime, unroll)
            final_input = inner_loop.make_learner_input(lifetime.timestep, lifetime.previous_action)
            trajectory = Trajectory(learner_state, experience, final_input, index * unroll)
            return _Training(trainer.update(training.outer, trajectory), lifetime), measure(experience)

        measured = jax.lax.scan(update, _Training(state, lifetime), jnp.arange(trainer.num_updates))[1]
        # What exceeds the lifetime in the last unroll is cut off.
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[: environment_config.lifetime_length], measured)

    return rollout


def _rollout_on_host(
    algorithm: str, environment_config: HostEnvironmentConfig, keys: Key[Array, "num_tasks"]
) -> Lifetimes:
    """The same in host environments, in parallel, each with its own policy."""
    trainer = _make_trainer(algorithm, environment_config)
    batches = host_batches(keys)
    num = batches.shape[1]
    actor = EntryActor(trainer.entry, num, trainer.unroll, num_members=num, uses_actor_outputs=True)
    act, begin = jax.jit(actor.act, donate_argnums=1), jax.jit(actor.begin)

    @jax.jit
    def update(
        states: ActorCriticState, actor_state: ActorState, learner_state: LearnerState, timestep: dm_env.TimeStep
    ) -> tuple[ActorCriticState, tuple[Any, ...]]:
        first_step = states.update * trainer.unroll
        trajectory = actor.finish(actor_state, learner_state, timestep, first_step)
        return jax.vmap(trainer.update)(states, trajectory), jax.vmap(measure)(trajectory.experience)

    def rollout(batch: Key[Array, "num"]) -> tuple[Any, ...]:
        states = jax.jit(jax.vmap(trainer.init))(batch)
        timestep = environment.reset(np.ones(num, bool), np.asarray(environment_seeds(batch)))
        actor_state = actor.init(states.meta_params, batch, timestep)
        unrolls = []
        for _ in range(trainer.num_updates):
            actor_state, learner_state = begin(states.meta_params, actor_state, batch, np.zeros(num, bool))
            for _ in range(trainer.unroll):
                actor_state, actions = act(states.meta_params, actor_state, timestep)
                timestep = environment.step(np.asarray(actions))
            states, measured = update(states, actor_state, learner_state, timestep)
            unrolls.append(jax.tree.map(np.asarray, measured))
        return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *unrolls)

    with patient_host_environment(environment_config, num) as environment:
        rollouts = [rollout(batch) for batch in batches]
    length = environment_config.lifetime_length
    return Lifetimes(*jax.tree.map(lambda *parts: np.concatenate(parts)[: keys.size, :length], *rollouts))
