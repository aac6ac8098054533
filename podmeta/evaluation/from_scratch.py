"""Ordinary RL in the place of a learned algorithm: a fresh policy, trained by gradient within one lifetime.

It is this project's own actor-critic, run on a feed-forward policy that lives one lifetime: as many env steps as the
learned algorithm has, on the same task. So it does what a user would do without a learned algorithm, and is no
yardstick of what gradient descent reaches in the long run.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from podmeta.config.schema import ActorCriticConfig, EnvironmentConfig, RecurrentConfig
from podmeta.evaluation.lived import TASKS_PER_BATCH, Lifetimes, measure
from podmeta.lifetimes import LifetimeState, build_inner_loop
from podmeta.outer.actor_critic import ActorCriticState, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings

LONGEST_UNROLL = 32

POLICY = RecurrentConfig(cell="none", torso_layers=[64], scale_observations=True)


class _Training(NamedTuple):
    """A policy and the lifetime that it is trained in."""

    actor_critic: ActorCriticState
    lifetimes: tuple[LifetimeState, ...]


_A2C = ActorCriticConfig(num_lifetimes=1, discount_across_episodes=False, td_lambda=0.95, learning_rate=0.003)

ALGORITHMS = {"a2c": _A2C, "ppo": dataclasses.replace(_A2C, ppo_clip=0.2, num_epochs=4)}
"""The config of the actor-critic by algorithm; the length of an unroll is that of the lifetime's largest divisor."""


def live_from_scratch(
    algorithm: str, environment_config: EnvironmentConfig, keys: Key[Array, "num_tasks"]
) -> Lifetimes:
    """One lifetime per key, in which a fresh policy is trained.

    Args:
      algorithm: a name in `ALGORITHMS`.
      environment_config: where.
      keys: of the lifetimes; equal keys give equal tasks here and for a learned algorithm.
    """
    inner_loop = build_inner_loop(POLICY, environment_config)
    length = environment_config.lifetime_length
    unroll = max(steps for steps in range(1, LONGEST_UNROLL + 1) if length % steps == 0)
    num_updates = length // unroll
    config = dataclasses.replace(ALGORITHMS[algorithm], unroll_length=unroll)
    entry = Entry(environment_config.name, inner_loop, lifetimes=1, weight=1.0)
    actor_critic = make_actor_critic(config, (entry,), num_updates)

    def live(key: PRNGKeyArray) -> tuple[Array, Array, Array, Array | None]:
        settings = InstanceSettings(jax.random.bits(key), jnp.float32(config.learning_rate), jnp.float32(0))
        state = actor_critic.init(settings)
        lifetime = inner_loop.birth(state.meta_params, key)

        def update(training: _Training, _: None) -> tuple[_Training, tuple[Array, Array, Array, Array | None]]:
            row = jnp.int32(0)
            lifetimes, trajectories = actor_critic.live(training.actor_critic, row, training.lifetimes)
            rows = jax.tree.map(lambda leaf: leaf[None], trajectories)
            state = actor_critic.update(training.actor_critic, rows, None)[0]
            experience = jax.tree.map(lambda leaf: leaf[0], trajectories[0].experience)
            return _Training(state, lifetimes), measure(experience)

        start = _Training(state, (jax.tree.map(lambda leaf: leaf[None], lifetime),))
        measured = jax.lax.scan(update, start, length=num_updates)[1]
        return jax.tree.map(lambda leaf: leaf.reshape(length), measured)

    live_all = jax.jit(lambda keys: jax.lax.map(live, keys, batch_size=TASKS_PER_BATCH))
    return Lifetimes(*jax.tree.map(np.asarray, live_all(keys)))
