"""`podmeta bench memory`: the memory of an actor-critic update, with and without checkpointed chunks.

Read off the compiled program, so that nothing runs: its arguments (trajectories and state), its results, and the
temporaries in between, as XLA's memory analysis tells them.
"""

import jax
import jax.numpy as jnp

from podmeta.benchmarks.measure import report
from podmeta.config.compose import compose_job
from podmeta.config.schema import JobConfig
from podmeta.lifetimes import build_inner_loop
from podmeta.outer.actor_critic import actor_critic_outer_loop, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings

CHUNKS = {100: (0, 10), 1000: (0, 25)}
"""By env steps of an unroll: env steps of a chunk; 0 is none. About the square root needs the least memory."""


def bench_memory() -> None:
    """Measures both learners on 5-armed bandits, 64 lifetimes side by side."""
    for learner in ("symmetric", "recurrent"):
        for unroll_length, chunks in CHUNKS.items():
            for remat_chunk in chunks:
                _measure(learner, unroll_length, remat_chunk)


def _measure(learner: str, unroll_length: int, remat_chunk: int) -> None:
    job = compose_job(
        [
            f"learner={learner}",
            "environment=bandit",
            f"environment.lifetime_length={unroll_length}",
            "outer=actor_critic",
            f"outer.unroll_length={unroll_length}",
            f"outer.remat_chunk={remat_chunk}",
        ]
    )
    setting = {
        "learner": learner,
        "hidden_size": job.learner.hidden_size,
        "num_arms": job.environment.num_arms,
        "num_lifetimes": job.outer.num_lifetimes,
        "unroll_length": unroll_length,
        "remat_chunk": remat_chunk,
    }
    report("memory_actor_critic_update", setting, update_bytes(job), "B")


def update_bytes(job: JobConfig) -> int:
    """The bytes that an actor-critic update of a job on one environment needs at its peak. It is only compiled."""
    inner_loop = build_inner_loop(job.learner, job.environment)
    entry = Entry(job.environment.name, inner_loop, lifetimes=1, weight=1.0)
    loop = actor_critic_outer_loop(make_actor_critic(job.outer, (entry,), num_updates=1))

    def live() -> tuple:
        state = loop.init(InstanceSettings(jnp.uint32(0), jnp.float32(job.outer.learning_rate), jnp.float32(0.0)))
        rows = jnp.arange(loop.num_rows)
        lifetimes = jax.vmap(loop.birth, in_axes=(None, 0))(state, rows)
        _, trajectories = jax.vmap(loop.live, in_axes=(None, 0, 0))(state, rows, lifetimes)
        return state, trajectories

    state, trajectories = jax.eval_shape(live)
    compiled = jax.jit(loop.update, static_argnums=2).lower(state, trajectories, None).compile()
    memory = compiled.memory_analysis()
    assert memory is not None  # every platform of ours has an analysis
    return memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
