"""`podmeta train --dry-run`: builds a job and compiles its updates for the devices here, and trains nothing."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.architectures.registry import Program
from podmeta.config.schema import EnvironmentConfig, JobConfig
from podmeta.config.stages import Stage, environments_of, stages_of
from podmeta.config.validate import validate_devices
from podmeta.distributed.devices import (
    LESS_MEMORY,
    TooLittleMemoryError,
    compile_for,
    describe_devices,
    shapes_on_devices,
)
from podmeta.errors import InputError, PodmetaError
from podmeta.planning.plan import Memory, memory_of
from podmeta.training.build import build_programs, instance_settings, num_instances


class DryStage(NamedTuple):
    """A stage of a dry run.

    Attributes:
      name: "environment", or the stage's place in the config.
      environments: its environments, in words.
      num_updates: its updates.
      env_steps_per_update: of all devices.
      memory: what its updates need on each device; None if that is not known before it runs.
      compile_seconds: the time that compiling them took.
    """

    name: str
    environments: tuple[str, ...]
    num_updates: int
    env_steps_per_update: int
    memory: Memory | None
    compile_seconds: float


class DryRun(NamedTuple):
    """The result of a dry run.

    Attributes:
      experiment_name, learner, outer, architecture: their names.
      num_meta_params: elements of θ, of one instance.
      num_instances: independent meta-learners.
      devices: the devices, in words.
      stages: its stages. A job without stages is one.
    """

    experiment_name: str
    learner: str
    outer: str
    architecture: str
    num_meta_params: int
    num_instances: int
    devices: tuple[str, ...]
    stages: tuple[DryStage, ...]


def dry_run(job: JobConfig, tell: Callable[[str], None]) -> DryRun:
    """Builds and compiles a job on this process's devices, which have been set up. Nothing is computed or written.

    Sebulba's programs are compiled when actors and learner run, so theirs are only built.

    Args:
      job: the job.
      tell: shows the user a line about what takes time.

    Raises:
      InputError: the job does not fit the devices, or has several processes.
      PodmetaError: the devices have too little memory.
    """
    if jax.process_count() > 1:
        raise InputError("--dry-run is for one process: podmeta plan compiles a job for many devices from one")
    num_devices = jax.local_device_count()
    validate_devices(job, num_devices)
    stages, programs = stages_of(job), build_programs(job, num_devices)
    meta_params = jax.eval_shape(programs[0].init, instance_settings(job)).outer.meta_params
    return DryRun(
        experiment_name=job.experiment_name,
        learner=job.learner.name,
        outer=", ".join(dict.fromkeys(stage.outer.name for stage in stages)),
        architecture=job.architecture.name,
        num_meta_params=sum(leaf.size for leaf in jax.tree.leaves(meta_params)) // num_instances(job),
        num_instances=num_instances(job),
        devices=tuple(describe_devices()),
        stages=tuple(
            _compile_stage(job, stage, program, num_devices, tell)
            for stage, program in zip(stages, programs, strict=True)
        ),
    )


def _compile_stage(
    job: JobConfig, stage: Stage, program: Program, num_devices: int, tell: Callable[[str], None]
) -> DryStage:
    memory, start = None, time.perf_counter()
    if isinstance(program, Anakin):
        tell(f"compiling the updates of {stage.name}")
        memory = _memory_of_updates(job, stage, program, num_devices)
    return DryStage(
        name=stage.name,
        environments=tuple(_describe(environment) for environment in environments_of(stage.environment)),
        num_updates=stage.end - stage.first_update,
        env_steps_per_update=program.env_steps_per_update,
        memory=memory,
        compile_seconds=time.perf_counter() - start,
    )


def _memory_of_updates(job: JobConfig, stage: Stage, program: Anakin, num_devices: int) -> Memory:
    """What the updates of one call need, compiled as training compiles them."""
    state = jax.eval_shape(program.init, instance_settings(job, stage.number))
    shapes = type(state)(*shapes_on_devices(state.outer, state.lifetimes, num_devices))
    num_updates = job.architecture.updates_per_call
    try:
        compiled = compile_for(jax.local_devices(), lambda state: program.run(state, num_updates), DEVICE_AXIS, shapes)
    except TooLittleMemoryError as error:
        raise PodmetaError(
            f"{stage.name}: the devices have too little memory ({str(error).splitlines()[0]}): {LESS_MEMORY}"
        ) from error
    return memory_of(compiled)


def _describe(environment: EnvironmentConfig) -> str:
    source = getattr(environment, "id", "") or getattr(environment, "factory", "")
    named = f"{environment.name}/{source}" if source else environment.name
    return f"{named}, lifetimes of {environment.lifetime_length:,} env steps"
