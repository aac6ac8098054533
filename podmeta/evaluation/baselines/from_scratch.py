"""Ordinary RL in the place of a learned algorithm: a fresh policy, trained by gradient within one lifetime.

It is this project's own actor-critic, run on a feed-forward policy that lives one lifetime: as many env steps as the
learned algorithm has, on the same task. So it does what a user would do without a learned algorithm, and is no
yardstick of what gradient descent reaches in the long run.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from podmeta.config.schema import ActorCriticConfig, EnvironmentConfig, RecurrentConfig
from podmeta.evaluation.rollouts import TASKS_PER_BATCH, Lifetimes, measure
from podmeta.inner_loop import LifetimeState, build_inner_loop
from podmeta.outer.actor_critic import ActorCriticState, make_actor_critic
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
    lifetime = make_lifetime(algorithm, environment_config)
    live_all = jax.jit(lambda keys: jax.lax.map(lifetime, keys, batch_size=TASKS_PER_BATCH))
    return Lifetimes(*jax.tree.map(np.asarray, live_all(keys)))


def make_lifetime(
    algorithm: str, environment_config: EnvironmentConfig
) -> Callable[[PRNGKeyArray], tuple[Array, Array, Array, Array | None]]:
    """key -> what is measured of one lifetime, in which a fresh policy is trained."""
    length = environment_config.lifetime_length
    unroll = unroll_length(length)
    num_updates = -(-length // unroll)
    # The actor-critic wants whole unrolls. The last one goes on beyond the lifetime, and what exceeds it is cut off.
    longer = dataclasses.replace(environment_config, lifetime_length=num_updates * unroll)
    inner_loop = build_inner_loop(POLICY, longer)
    config = dataclasses.replace(ALGORITHMS[algorithm], unroll_length=unroll)
    entry = Entry(environment_config.name, inner_loop, lifetimes=1, weight=1.0)
    actor_critic = make_actor_critic(config, (entry,), num_updates)

    def rollout(key: PRNGKeyArray) -> tuple[Array, Array, Array, Array | None]:
        settings = InstanceSettings(jax.random.bits(key), jnp.float32(config.learning_rate), jnp.float32(0))
        state = actor_critic.init(settings)
        lifetime = inner_loop.reset(state.meta_params, key)

        def update(training: _Training, index: Array) -> tuple[_Training, tuple[Array, Array, Array, Array | None]]:
            learner_state = training.lifetime.learner_state
            lifetime, experience = inner_loop.unroll(training.outer.meta_params, training.lifetime, unroll)
            final_input = inner_loop.make_learner_input(lifetime.timestep, lifetime.previous_action)
            trajectory = Trajectory(learner_state, experience, final_input, index * unroll)
            summaries = (jax.tree.map(lambda leaf: leaf[None, None], trajectory),)
            outer, _ = actor_critic.update(training.outer, (), summaries, None)
            return _Training(outer, lifetime), measure(experience)

        start = _Training(state, lifetime)
        measured = jax.lax.scan(update, start, jnp.arange(num_updates))[1]
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[:length], measured)

    return rollout
