"""From a job's config to the program that its devices run."""

import jax
import jax.numpy as jnp

from podmeta.architectures.anakin import DEVICE_AXIS, Anakin, AnakinState, make_anakin
from podmeta.config.schema import ActorCriticConfig, JobConfig
from podmeta.lifetimes import build_inner_loop
from podmeta.outer.actor_critic import actor_critic_outer_loop, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings, OuterLoop
from podmeta.outer.evolution import evolution_outer_loop, make_evolution
from podmeta.runtime.devices import divide, join, replicate, unreplicate


def build_program(job: JobConfig, num_devices: int) -> Anakin:
    """The program of one of `num_devices` devices."""
    return make_anakin(build_outer_loop(job), num_instances=job.architecture.num_instances, num_devices=num_devices)


def build_outer_loop(job: JobConfig) -> OuterLoop:
    """The outer loop, over the job's learner in its environment."""
    inner_loop = build_inner_loop(job.learner, job.environment)
    if isinstance(job.outer, ActorCriticConfig):
        entry = Entry(job.environment.name, inner_loop, lifetimes=1, weight=1.0)
        return actor_critic_outer_loop(make_actor_critic(job.outer, (entry,), job.num_updates))
    entry = Entry(job.environment.name, inner_loop, job.outer.lifetimes_per_member, weight=1.0)
    return evolution_outer_loop(make_evolution(job.outer, (entry,), job.num_updates))


def instance_settings(job: JobConfig) -> InstanceSettings:
    """Seed, learning rate and σ of every instance: from the lists of the config, or else the job's own."""
    architecture = job.architecture
    noise_std = 0.0 if isinstance(job.outer, ActorCriticConfig) else job.outer.noise_std
    seeds = architecture.instance_seeds or [(job.seed + i) % 2**32 for i in range(architecture.num_instances)]
    rates = architecture.instance_learning_rates or [job.outer.learning_rate] * architecture.num_instances
    stds = architecture.instance_noise_stds or [noise_std] * architecture.num_instances
    return InstanceSettings(jnp.array(seeds, jnp.uint32), jnp.array(rates, jnp.float32), jnp.array(stds, jnp.float32))


def state_shapes(job: JobConfig) -> AnakinState:
    """Shapes and types of the job's state, of which nothing is computed: what a checkpoint must hold."""
    return jax.eval_shape(build_program(job, num_devices=1).init, instance_settings(job))


def to_devices(state: AnakinState, num_devices: int) -> AnakinState:
    """The state as the devices hold it: the outer loop's on each, the lifetimes divided over them."""
    return AnakinState(
        replicate(state.outer, DEVICE_AXIS, num_devices), divide(state.lifetimes, DEVICE_AXIS, num_devices)
    )


def from_devices(device_state: AnakinState) -> AnakinState:
    """The state on the host, which fits any number of devices."""
    return AnakinState(unreplicate(device_state.outer), join(device_state.lifetimes))
