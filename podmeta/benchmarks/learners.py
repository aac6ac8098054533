"""`podmeta bench learners`: unrolls and actor-critic updates of the learners that are one network with a memory.

All have layers of the same width, and live as many lifetimes side by side on dark key-to-door.
"""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp

from podmeta.architectures.anakin import Rollout
from podmeta.benchmarks.measure import best_seconds, report
from podmeta.config.compose import compose_job
from podmeta.config.schema import ActorCriticConfig, EnvironmentConfig, JobConfig, MemoryConfig
from podmeta.inner_loop import build_inner_loop
from podmeta.learners.base import MetaParams
from podmeta.outer.actor_critic import ActorCritic, ActorCriticState, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings, Trajectory

LEARNERS = {
    "lstm": ["learner=recurrent"],
    "gru": ["learner=recurrent", "learner.cell=gru"],
    "s5": ["learner=s5"],
    "gtrxl": ["learner=gtrxl"],
}
"""What is compared, by overrides. The others are held against the LSTM, which comes first."""

NUM_STEPS = (128, 512, 2048)
NUM_LIFETIMES = 32


def bench_learners() -> None:
    """Measures seconds of unrolls, forward and backward, and of whole updates, and how many go into one of the LSTM.

    A whole update acts for all steps, and then follows the gradient once.
    """
    for num_steps in NUM_STEPS:
        of_lstm: dict[str, float] = {}
        for learner, overrides in LEARNERS.items():
            job = compose_job(
                [
                    *overrides,
                    "environment=key_to_door",
                    f"environment.lifetime_length={num_steps}",
                    "outer=actor_critic",
                    f"outer.unroll_length={num_steps}",
                    f"outer.num_lifetimes={NUM_LIFETIMES}",
                ]
            )
            assert isinstance(job.learner, MemoryConfig)
            setting = {
                "learner": learner,
                "hidden_size": job.learner.hidden_size,
                "num_lifetimes": NUM_LIFETIMES,
                "num_steps": num_steps,
            }
            for name, function in _functions(job).items():
                seconds = best_seconds(function)
                report(f"learners_{name}", setting, seconds, "s")
                if learner == "lstm":
                    of_lstm[name] = seconds
                else:
                    report(f"learners_{name}_over_lstm_speedup", setting, of_lstm[name] / seconds, "1")


def _functions(job: JobConfig) -> dict[str, Callable[[], Any]]:
    """What is timed of a job, by name."""
    actor_critic = _actor_critic(job)
    rollout, slots = Rollout(actor_critic), jnp.arange(actor_critic.num_slots)
    settings = InstanceSettings(jnp.uint32(0), jnp.float32(job.outer.learning_rate), jnp.float32(0.0))
    state = jax.jit(actor_critic.init)(settings)
    lifetimes = jax.jit(jax.vmap(rollout.init, in_axes=(None, 0)))(state, slots)

    def act(state: ActorCriticState) -> tuple[Trajectory, ...]:
        trajectories: tuple[Trajectory, ...] = jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(state, slots, lifetimes)[
            2
        ]
        return trajectories

    def outputs(meta_params: MetaParams, trajectories: tuple[Trajectory, ...]) -> jax.Array:
        entry = actor_critic.entries[0]
        of_entry = jax.tree.map(lambda leaf: leaf[:, 0], trajectories[0])
        found = jax.vmap(actor_critic.run_again, in_axes=(None, None, 0))(entry.inner_loop, meta_params, of_entry)
        return jnp.sum(found.policy**2) + jnp.sum(found.value**2)

    trajectories = jax.jit(act)(state)
    gradient = jax.jit(jax.grad(outputs))
    update = jax.jit(lambda state: actor_critic.update(state, (), act(state), None))
    return {
        "unroll": lambda: gradient(state.meta_params, trajectories),
        "update": lambda: update(state),
    }


def _actor_critic(job: JobConfig) -> ActorCritic:
    """The outer loop of a job on one environment."""
    assert isinstance(job.environment, EnvironmentConfig)
    inner_loop = build_inner_loop(job.learner, job.environment)
    return make_actor_critic(
        cast(ActorCriticConfig, job.outer), (Entry(job.environment.name, inner_loop, 1, 1.0),), num_updates=1
    )
