"""Builds the programs of a job from its config, one per stage."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.base import TrainingState
from podmeta.architectures.registry import Program, architecture_of
from podmeta.config.schema import EnvironmentConfig, JobConfig, MixtureConfig
from podmeta.config.stages import Stage, stage_that_made, stages_of
from podmeta.distributed.devices import shapes_on_devices
from podmeta.environments.host.registry import lives_on_host
from podmeta.errors import InputError
from podmeta.inner_loop import build_inner_loop, environment_specs
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.registry import make_outer_loop


class PlacedEntry(NamedTuple):
    """An entry and its place in the config.

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
    return tuple(
        _program(job, stage, tuple(placed.entry for placed in entries), num_devices)
        for stage, entries in zip(stages_of(job), _entries_by_stage(job), strict=True)
    )


def build_program(job: JobConfig, num_devices: int, stage: int = 0) -> Program:
    """The program of one stage on `num_devices` devices of each process."""
    return build_programs(job, num_devices)[stage]


def num_instances(job: JobConfig) -> int:
    """Independent meta-learners in the job. Only Anakin has room for several."""
    return getattr(job.architecture, "num_instances", 1)


def instance_settings(job: JobConfig, stage: int = 0) -> InstanceSettings:
    """Seed, learning rate and σ of every instance: from the lists of the config, or else the stage's own."""
    architecture, outer, number = job.architecture, stages_of(job)[stage].outer, num_instances(job)
    noise_std = getattr(outer, "noise_std", 0.0)  # only loops with perturbations have one
    seeds = getattr(architecture, "instance_seeds", [])
    rates = getattr(architecture, "instance_learning_rates", [])
    stds = getattr(architecture, "instance_noise_stds", [])
    return InstanceSettings(
        jnp.array(seeds or [_instance_seed(job.seed, instance) for instance in range(number)], jnp.uint32),
        jnp.array(rates or [outer.learning_rate] * number, jnp.float32),
        jnp.array(stds or [noise_std] * number, jnp.float32),
    )


def _instance_seed(seed: int, instance: int) -> int:
    """The seed of an instance: hashed, so that runs with neighbouring seeds share no instance. The first is the run's.

    A run with one instance and the first instance of a run with several therefore train alike.
    """
    if instance == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"instance {instance} of seed {seed}".encode()).digest()[:4], "little")


def meta_params_shapes(job: JobConfig) -> MetaParams:
    """Shapes and types of one θ of the job. The learner is traced, and nothing is computed.

    Raises:
      InputError: an environment cannot be made or does not suit the architecture, or one θ does not fit all of them.
    """
    first = _entries_by_stage(job)[0][0]
    return jax.eval_shape(first.entry.inner_loop.init, make_key(0))


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
    on_one_device = architecture_of(job.architecture).on_one_device(job.architecture)
    return dataclasses.replace(job, architecture=on_one_device)


def _program(job: JobConfig, stage: Stage, entries: tuple[Entry, ...], num_devices: int) -> Program:
    """The outer loop of a stage on the job's architecture."""
    outer_loop = make_outer_loop(stage.outer, entries, stage.num_updates, stage.first_update)
    return architecture_of(job.architecture).build(job.architecture, stage.outer, outer_loop, num_devices)


def _entries_by_stage(job: JobConfig) -> list[list[PlacedEntry]]:
    """The entries of all stages, which one θ fits."""
    by_stage = [_placed_entries(job, stage) for stage in stages_of(job)]
    _check_one_size([placed for entries in by_stage for placed in entries])
    return by_stage


def _placed_entries(job: JobConfig, stage: Stage) -> list[PlacedEntry]:
    """The job's learner in every environment of a stage. An environment by itself is a mixture of one."""
    lifetimes = getattr(stage.outer, "lifetimes_per_member", 1)  # only loops with members have the key
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
        inner_loop = build_inner_loop(job.learner, environment, job.numerics.dtype)
    except InputError as error:
        if place == "environment":
            raise
        raise InputError(f"{place}: {error}") from error
    return PlacedEntry(place, environment, Entry(label, inner_loop, lifetimes, weight))


def _check_architecture(job: JobConfig, environment: EnvironmentConfig) -> None:
    """Anakin compiles its environments; Sebulba steps those of the host."""
    on_host = lives_on_host(environment)
    if on_host != architecture_of(job.architecture).steps_host_environments:
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
                f"pad every environment with the keys padded_observation_size="
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
