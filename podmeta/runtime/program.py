"""From a job's config to the programs that its devices run: one per stage."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs

from podmeta.architectures.anakin import DEVICE_AXIS, Anakin, AnakinState, make_anakin
from podmeta.config.schema import ActorCriticConfig, EnvironmentConfig, JobConfig, MixtureConfig
from podmeta.config.stages import Stage, stage_that_made, stages_of
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from podmeta.lifetimes import build_inner_loop
from podmeta.outer.actor_critic import actor_critic_outer_loop, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings, OuterLoop
from podmeta.outer.evolution import evolution_outer_loop, make_evolution
from podmeta.runtime.devices import divide, join, replicate, shapes_on_devices, unreplicate


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


def build_programs(job: JobConfig, num_devices: int) -> tuple[Anakin, ...]:
    """The programs of one of `num_devices` devices, by stage.

    Raises:
      InputError: an environment cannot be made, or one θ does not fit all of them.
    """
    stages = stages_of(job)
    by_stage = [_placed_entries(job, stage) for stage in stages]
    _check_one_size([placed for entries in by_stage for placed in entries])
    return tuple(
        make_anakin(
            _outer_loop(stage, tuple(placed.entry for placed in entries)),
            num_instances=job.architecture.num_instances,
            num_devices=num_devices,
        )
        for stage, entries in zip(stages, by_stage, strict=True)
    )


def build_program(job: JobConfig, num_devices: int, stage: int = 0) -> Anakin:
    """The program of one of `num_devices` devices, in one stage."""
    return build_programs(job, num_devices)[stage]


def instance_settings(job: JobConfig, stage: int = 0) -> InstanceSettings:
    """Seed, learning rate and σ of every instance: from the lists of the config, or else the stage's own."""
    architecture, outer = job.architecture, stages_of(job)[stage].outer
    noise_std = 0.0 if isinstance(outer, ActorCriticConfig) else outer.noise_std
    seeds = architecture.instance_seeds or [(job.seed + i) % 2**32 for i in range(architecture.num_instances)]
    rates = architecture.instance_learning_rates or [outer.learning_rate] * architecture.num_instances
    stds = architecture.instance_noise_stds or [noise_std] * architecture.num_instances
    return InstanceSettings(jnp.array(seeds, jnp.uint32), jnp.array(rates, jnp.float32), jnp.array(stds, jnp.float32))


def state_shapes(job: JobConfig, update: int = 0) -> AnakinState:
    """Shapes and types of the job's state after `update` updates: what a checkpoint must hold. Nothing is computed."""
    stage = stage_that_made(stages_of(job), update).number
    return jax.eval_shape(build_program(job, 1, stage).init, instance_settings(job, stage))


def device_state_shapes(job: JobConfig, program: Anakin, num_devices: int) -> AnakinState:
    """Shapes and types of what `to_devices` makes of the state of a job without stages. Nothing is computed."""
    state = jax.eval_shape(program.init, instance_settings(job))
    return AnakinState(*shapes_on_devices(state.outer, state.lifetimes, num_devices))


def to_devices(state: AnakinState, num_devices: int) -> AnakinState:
    """The state as the devices hold it: the outer loop's on each, the lifetimes divided over them."""
    return AnakinState(
        replicate(state.outer, DEVICE_AXIS, num_devices), divide(state.lifetimes, DEVICE_AXIS, num_devices)
    )


def from_devices(device_state: AnakinState) -> AnakinState:
    """The state on the host, which fits any number of devices."""
    return AnakinState(unreplicate(device_state.outer), join(device_state.lifetimes))


def _outer_loop(stage: Stage, entries: tuple[Entry, ...]) -> OuterLoop:
    if isinstance(stage.outer, ActorCriticConfig):
        actor_critic = make_actor_critic(stage.outer, entries, stage.num_updates, stage.first_update)
        return actor_critic_outer_loop(actor_critic)
    return evolution_outer_loop(make_evolution(stage.outer, entries, stage.num_updates, stage.first_update))


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
        inner_loop = build_inner_loop(job.learner, environment)
    except InputError as error:
        if place == "environment":
            raise
        raise InputError(f"{place}: {error}") from error
    return PlacedEntry(place, environment, Entry(label, inner_loop, lifetimes, weight))


def _check_one_size(entries: list[PlacedEntry]) -> None:
    """One θ must fit all entries of all stages. That of the symmetric learner fits any."""

    def shapes(placed: PlacedEntry) -> Any:
        return jax.eval_shape(placed.entry.inner_loop.init, jax.random.key(0))

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
    environment = make_environment(environment_config)
    actions = environment.action_spec()
    num_actions = actions.num_values if isinstance(actions, specs.DiscreteArray) else int(np.prod(actions.shape))
    return int(np.prod(environment.observation_spec().shape)), num_actions


def _describe(placed: PlacedEntry) -> str:
    observation_size, num_actions = _sizes(placed.environment)
    return f"{placed.entry.name}, observation_size={observation_size}, num_actions={num_actions}"
