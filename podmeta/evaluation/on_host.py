"""Rollouts in environments of the host for a meta-test, by the programs of Sebulba's actors."""

import functools
from collections.abc import Callable
from typing import Any

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from podmeta.architectures.sebulba.entry_actor import EntryActor, environment_seeds
from podmeta.config.schema import HostEnvironmentConfig
from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.registry import patient_host_environment
from podmeta.evaluation.rollouts import Lifetimes, Rollout, measure
from podmeta.inner_loop import InnerLoop
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.outer.base import Entry

MOST_ENVIRONMENTS = 64  # side by side: each takes memory, and some a window of their own


def make_host_rollout(environment_config: HostEnvironmentConfig, inner_loop: InnerLoop) -> Rollout:
    """The rollout of lifetimes, in batches of equal size, on the default device.

    It raises a PodmetaError where an environment fails.
    """

    @functools.cache
    def programs(num_environments: int) -> tuple[EntryActor, Callable[..., Any]]:
        actor = _make_actor(environment_config, inner_loop, num_environments)
        return actor, jax.jit(actor.act, donate_argnums=1)

    def rollout(meta_params: MetaParams, keys: Key[Array, "num_tasks"]) -> Lifetimes:
        batches = host_batches(keys)
        num = batches.shape[1]
        rollout_batch = functools.partial(_rollout_batch, *programs(num), inner_loop.lifetime_length, meta_params)
        with patient_host_environment(environment_config, num) as environment:
            rollouts = [jax.tree.map(np.asarray, rollout_batch(environment, batch)) for batch in batches]
        return Lifetimes(*jax.tree.map(lambda *parts: np.concatenate(parts)[: keys.size], *rollouts))

    return rollout


def _rollout_batch(
    actor: EntryActor,
    act: Callable[..., Any],
    lifetime_length: int,
    meta_params: MetaParams,
    environment: HostEnvironment,
    batch: Key[Array, "num"],
) -> tuple[Any, ...]:
    """What is measured of one lifetime by key. `act` is the actor's, compiled."""
    timestep = environment.reset(np.ones(batch.size, bool), np.asarray(environment_seeds(batch)))
    state = actor.init(meta_params, batch, timestep)
    for _ in range(lifetime_length):
        state, actions = act(meta_params, state, timestep)
        timestep = environment.step(np.asarray(actions))
    return jax.vmap(measure)(actor.finish(state, (), timestep, jnp.zeros(batch.size, jnp.int32)).experience)


def host_batches(keys: Key[Array, "num_tasks"]) -> Key[Array, "num_batches num_environments"]:
    """The keys in batches of equal size, the first of them again where they do not fill the last batch."""
    num_batches = -(-keys.size // MOST_ENVIRONMENTS)
    num_environments = -(-keys.size // num_batches)
    return keys[jnp.arange(num_batches * num_environments) % keys.size].reshape(num_batches, num_environments)


def trace_on_host(environment_config: HostEnvironmentConfig, inner_loop: InnerLoop, meta_params: MetaParams) -> None:
    """Traces what `make_host_rollout` compiles, for θ or its shapes. Nothing is computed, and no environment steps."""
    actor = _make_actor(environment_config, inner_loop, num_environments=1)
    with patient_host_environment(environment_config, num_environments=1) as environment:
        observation = environment.observation_spec()
    one = np.ones(1, np.float32)
    timestep = dm_env.TimeStep(one.astype(np.int32), one, one, np.zeros((1, *observation.shape), observation.dtype))

    def lifetime(meta_params: MetaParams, keys: Key[Array, "1"], timestep: dm_env.TimeStep) -> tuple[Any, ...]:
        state, _ = actor.act(meta_params, actor.init(meta_params, keys, timestep), timestep)
        return jax.vmap(measure)(actor.finish(state, (), timestep, jnp.zeros(1, jnp.int32)).experience)

    jax.eval_shape(lifetime, meta_params, jax.random.split(make_key(0), 1), timestep)


def _make_actor(environment_config: HostEnvironmentConfig, inner_loop: InnerLoop, num_environments: int) -> EntryActor:
    entry = Entry(environment_config.name, inner_loop, lifetimes=1, weight=1.0)
    return EntryActor(entry, num_environments, inner_loop.lifetime_length, 0, uses_actor_outputs=False)
