"""`podmeta bench memory`: the memory of an actor-critic update, with and without checkpointed chunks.

Read off the compiled program, so that nothing runs: its arguments (trajectories and state), its results, and the
temporaries in between, by XLA's memory analysis.
"""

from typing import Any

import jax
import jax.numpy as jnp

from podmeta.architectures.anakin import Rollout
from podmeta.benchmarks.measure import report
from podmeta.config.compose import compose_job
from podmeta.config.schema import BanditConfig, EnvironmentConfig, JobConfig, MemoryConfig, SymmetricConfig
from podmeta.inner_loop import build_inner_loop
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.registry import make_outer_loop

CHUNKS = {100: (0, 10), 1000: (0, 25)}
"""By env steps of an unroll: env steps of a chunk; 0 is none. About the square root needs the least memory."""


def bench_memory() -> None:
    """Measures the learners on 5-armed bandits, 64 lifetimes side by side."""
    for learner in ("symmetric", "recurrent", "s5", "gtrxl"):
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
    assert isinstance(job.learner, SymmetricConfig | MemoryConfig)
    assert isinstance(job.environment, BanditConfig)
    setting = {
        "learner": learner,
        "hidden_size": job.learner.hidden_size,
        "num_arms": job.environment.num_arms,
        "num_lifetimes": job.outer.size,
        "unroll_length": unroll_length,
        "remat_chunk": remat_chunk,
    }
    report("memory_actor_critic_update", setting, update_bytes(job), "B")


def update_bytes(job: JobConfig) -> int:
    """The bytes that an actor-critic update of a job on one environment needs at its peak. It is only compiled."""
    assert isinstance(job.environment, EnvironmentConfig)
    inner_loop = build_inner_loop(job.learner, job.environment)
    entry = Entry(job.environment.name, inner_loop, lifetimes=1, weight=1.0)
    outer_loop = make_outer_loop(job.outer, (entry,), num_updates=1, first_update=0)
    rollout, slots = Rollout(outer_loop), jnp.arange(outer_loop.num_slots)

    def unroll() -> tuple[Any, ...]:
        settings = InstanceSettings(jnp.uint32(0), jnp.float32(job.outer.learning_rate), jnp.float32(0.0))
        state = outer_loop.init(settings)
        lifetimes = jax.vmap(rollout.init, in_axes=(None, 0))(state, slots)
        return state, *jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(state, slots, lifetimes)[1:]

    arguments = jax.eval_shape(unroll)
    compiled = jax.jit(outer_loop.update, static_argnums=3).lower(*arguments, None).compile()
    memory = compiled.memory_analysis()
    assert memory is not None  # every platform of ours has an analysis
    return memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
