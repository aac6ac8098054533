"""From a job's config to the program that its devices run."""

import jax
import jax.numpy as jnp

from podmeta.architectures.anakin import Anakin, InstanceSettings, make_anakin
from podmeta.config.schema import JobConfig
from podmeta.lifetimes import build_inner_loop
from podmeta.outer.evolution import EvolutionState, make_evolution


def build_program(job: JobConfig, num_devices: int) -> Anakin:
    """The program of one of `num_devices` devices."""
    inner_loop = build_inner_loop(job.learner, job.environment)
    return make_anakin(
        make_evolution(job.outer, inner_loop.init, job.num_updates),
        inner_loop,
        population_size=job.outer.population_size,
        lifetimes_per_member=job.outer.lifetimes_per_member,
        num_instances=job.architecture.num_instances,
        num_devices=num_devices,
    )


def instance_settings(job: JobConfig) -> InstanceSettings:
    """Seed, learning rate and σ of every instance: from the lists of the config, or else the job's own."""
    architecture = job.architecture
    seeds = architecture.instance_seeds or [(job.seed + i) % 2**32 for i in range(architecture.num_instances)]
    rates = architecture.instance_learning_rates or [job.outer.learning_rate] * architecture.num_instances
    stds = architecture.instance_noise_stds or [job.outer.noise_std] * architecture.num_instances
    return InstanceSettings(jnp.array(seeds, jnp.uint32), jnp.array(rates, jnp.float32), jnp.array(stds, jnp.float32))


def state_shapes(job: JobConfig) -> EvolutionState:
    """Shapes and types of the job's state, of which nothing is computed: what a checkpoint must hold."""
    return jax.eval_shape(build_program(job, num_devices=1).init, instance_settings(job))
