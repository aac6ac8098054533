"""From a job's config to the programs that its devices run: one per stage."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs

from podmeta.architectures.anakin import Anakin, make_anakin
from podmeta.architectures.base import TrainingState
from podmeta.architectures.sebulba import Sebulba, make_sebulba
from podmeta.config.schema import ActorCriticConfig, AnakinConfig, EnvironmentConfig, JobConfig, MixtureConfig
from podmeta.config.stages import Stage, stage_that_made, stages_of
from podmeta.environments.host.registry import lives_on_host
from podmeta.errors import InputError
from podmeta.keys import make_key
from podmeta.lifetimes import build_inner_loop, environment_specs
from podmeta.outer.actor_critic import actor_critic_outer_loop, make_actor_critic, split_actor_critic
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.evolution import evolution_outer_loop, make_evolution, split_evolution
from podmeta.runtime.devices import shapes_on_devices
from podmeta.runtime.sebulba.layout import check_division, make_layout

Program = Anakin | Sebulba


class PlacedEntry(NamedTuple):
    """An entry, and where it comes from.

    Attributes:
      place: its environment's place in the config, as the user writes it.
      environment: its environment's config.
      entry: what an outer loop is given.
    """

    place: str
    environment: EnvironmentConfig
    entry: Entry


def build_programs(job: JobConfig, num_devices: int) -> tuple[Program, ...]:
    """The programs of a job on `num_devices` devices of each of its processes, by stage.

    Raises:
      InputError: an environment cannot be made or does not suit the architecture, one θ does not fit all of them, or
        the devices are too few.
    """
    stages = stages_of(job)
    by_stage = [_placed_entries(job, stage) for stage in stages]
    _check_one_size([placed for entries in by_stage for placed in entries])
    return tuple(
        _program(job, stage, tuple(placed.entry for placed in entries), num_devices)
        for stage, entries in zip(stages, by_stage, strict=True)
    )


def build_program(job: JobConfig, num_devices: int, stage: int = 0) -> Program:
    """The program of one stage on `num_devices` devices of each process."""
    return build_programs(job, num_devices)[stage]


def num_instances(job: JobConfig) -> int:
    """Independent meta-learners in the job. Only Anakin has room for several."""
    return job.architecture.num_instances if isinstance(job.architecture, AnakinConfig) else 1


def instance_settings(job: JobConfig, stage: int = 0) -> InstanceSettings:
    """Seed, learning rate and σ of every instance: from the lists of the config, or else the stage's own."""
    architecture, outer = job.architecture, stages_of(job)[stage].outer
    noise_std = 0.0 if isinstance(outer, ActorCriticConfig) else outer.noise_std
    seeds, rates, stds = [job.seed], [outer.learning_rate], [noise_std]
    if isinstance(architecture, AnakinConfig):
        number = architecture.num_instances
        seeds = architecture.instance_seeds or [_instance_seed(job.seed, instance) for instance in range(number)]
        rates = architecture.instance_learning_rates or rates * number
        stds = architecture.instance_noise_stds or stds * number
    return InstanceSettings(jnp.array(seeds, jnp.uint32), jnp.array(rates, jnp.float32), jnp.array(stds, jnp.float32))


def _instance_seed(seed: int, instance: int) -> int:
    """The seed of an instance: hashed, so that runs with neighbouring seeds share no instance. The first is the run's.

    A run with one instance and the first instance of a run with several therefore train alike.
    """
    if instance == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"instance {instance} of seed {seed}".encode()).digest()[:4], "little")


def state_shapes(job: JobConfig, update: int = 0) -> TrainingState:
    """Shapes and types of the job's state after `update` updates: what a checkpoint must hold. Nothing is computed."""
    stage = stage_that_made(stages_of(job), update).number
    return jax.eval_shape(build_program(_on_one_device(job), 1, stage).init, instance_settings(job, stage))


def device_state_shapes(job: JobConfig, program: Anakin, num_devices: int) -> TrainingState:
    """Shapes and types of what Anakin's devices hold of the state of a job without stages. Nothing is computed."""
    state = jax.eval_shape(program.init, instance_settings(job))
    return TrainingState(*shapes_on_devices(state.outer, state.lifetimes, num_devices))


def _on_one_device(job: JobConfig) -> JobConfig:
    """The job as one device does it, which changes no shape of its state."""
    if isinstance(job.architecture, AnakinConfig):
        return job
    return dataclasses.replace(
        job, architecture=dataclasses.replace(job.architecture, actor_devices=0, learner_devices=1)
    )


def _program(job: JobConfig, stage: Stage, entries: tuple[Entry, ...], num_devices: int) -> Program:
    """The outer loop of a stage on the job's architecture."""
    updates = (stage.num_updates, stage.first_update)
    if isinstance(job.architecture, AnakinConfig):
        if isinstance(stage.outer, ActorCriticConfig):
            loop = actor_critic_outer_loop(make_actor_critic(stage.outer, entries, *updates))
        else:
            loop = evolution_outer_loop(make_evolution(stage.outer, entries, *updates))
        return make_anakin(
            loop,
            num_instances=job.architecture.num_instances,
            num_devices=num_devices * jax.process_count(),
            rows_at_once=job.architecture.rows_at_once,
        )
    layout = make_layout(job.architecture, num_devices)
    check_division(layout, stage.outer, jax.process_count())
    if isinstance(stage.outer, ActorCriticConfig):
        split = split_actor_critic(make_actor_critic(stage.outer, entries, *updates))
    else:
        split = split_evolution(make_evolution(stage.outer, entries, *updates))
    return make_sebulba(
        split,
        num_actors=layout.num_actors,
        num_learner_devices=layout.num_learner_devices,
        process=jax.process_index(),
        num_processes=jax.process_count(),
    )


def _placed_entries(job: JobConfig, stage: Stage) -> list[PlacedEntry]:
    """The job's learner in every environment of a stage. An environment by itself is a mixture of one."""
    lifetimes = 1 if isinstance(stage.outer, ActorCriticConfig) else stage.outer.lifetimes_per_member
    environment = stage.environment
    if not isinstance(environment, MixtureConfig):
        return [_placed_entry(job, stage.name, environment, environment.name, lifetimes, weight=1.0)]
    return [
        _placed_entry(
            job,
            f"{stage.name}.entries[{index}]",
            entry.environment,
            entry.label,
            entry.lifetimes or lifetimes,
            entry.weight,
        )
        for index, entry in enumerate(environment.entries)
    ]


def _placed_entry(
    job: JobConfig, place: str, environment: EnvironmentConfig, label: str, lifetimes: int, weight: float
) -> PlacedEntry:
    try:
        _check_architecture(job, environment)
        inner_loop = build_inner_loop(job.learner, environment)
    except InputError as error:
        if place == "environment":
            raise
        raise InputError(f"{place}: {error}") from error
    return PlacedEntry(place, environment, Entry(label, inner_loop, lifetimes, weight))


def _check_architecture(job: JobConfig, environment: EnvironmentConfig) -> None:
    """Anakin compiles its environments; Sebulba steps those of the host."""
    on_host = lives_on_host(environment)
    if on_host == isinstance(job.architecture, AnakinConfig):
        where = "lives on the host" if on_host else "is compiled for the devices"
        needed = "sebulba" if on_host else "anakin"
        raise InputError(f"environment.name={environment.name} {where}: set architecture={needed}")


def _check_one_size(entries: list[PlacedEntry]) -> None:
    """One θ must fit all entries of all stages. That of the symmetric learner fits any."""

    def shapes(placed: PlacedEntry) -> Any:
        return jax.eval_shape(placed.entry.inner_loop.init, make_key(0))

    first = entries[0]
    for placed in entries[1:]:
        if shapes(placed) != shapes(first):
            sizes = np.array([_sizes(each.environment) for each in entries])
            observation_size, num_actions = sizes.max(axis=0)
            raise InputError(
                f"the θ of this learner is tied to sizes, and those of {placed.place} ({_describe(placed)}) differ "
                f"from those of {first.place} ({_describe(first)}). Take learner=symmetric, whose θ fits any size; or "
                f"wrap every environment in the padding wrapper, with the keys padded_observation_size="
                f"{observation_size} and padded_num_actions={num_actions}"
            )


def _sizes(environment_config: EnvironmentConfig) -> tuple[int, int]:
    """Components of an observation, and actions."""
    observation, actions = environment_specs(environment_config)
    num_actions = actions.num_values if isinstance(actions, specs.DiscreteArray) else int(np.prod(actions.shape))
    return int(np.prod(observation.shape)), num_actions


def _describe(placed: PlacedEntry) -> str:
    observation_size, num_actions = _sizes(placed.environment)
    return f"{placed.entry.name}, observation_size={observation_size}, num_actions={num_actions}"
