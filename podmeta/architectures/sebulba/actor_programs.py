"""The programs that actors run, compiled."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import dm_env
import jax
from jaxtyping import PyTree

from podmeta.architectures.sebulba.entry_actor import EntryActor, environment_seeds
from podmeta.architectures.sebulba.functions import Sebulba
from podmeta.outer.base import OuterState


class CompiledEntry(NamedTuple):
    """The programs of an `EntryActor`, compiled when they are first called on a device.

    Attributes:
      entry_actor: the functions that are compiled.
      init, act: its functions, compiled.
      act_alone: (θ that acts, state, time step [num, ...], position) -> (state, time step): `unroll` in environments
        that take no time, to measure inference in a compiled program.
    """

    entry_actor: EntryActor
    init: Callable[..., PyTree]
    act: Callable[..., PyTree]
    act_alone: Callable[..., PyTree]

    @property
    def unroll_length(self) -> int:
        """Env steps of an unroll."""
        return self.entry_actor.unroll_length


class ActorPrograms(NamedTuple):
    """The programs of all actors, compiled on first use. The outer state is [1, ...], as on the learner devices.

    Attributes:
      sebulba: the functions that are compiled.
      entries: by entry.
      actor_params: (outer state, update, slots) -> (θ that acts, keys by entry, seeds by entry).
      begin: (outer state, update, slots, states by entry, starts by entry) -> (θ that acts, seeds, states, learner
        states; each by entry) at the start of an unroll: `actor_params` and the `begin` of all entries, in one program.
      finish: (states, learner states, time steps, first steps; each by entry) -> (shards by learner device, by entry
        rewards and episode ends [num, unroll_length]).
    """

    sebulba: Sebulba
    entries: tuple[CompiledEntry, ...]
    actor_params: Callable[..., PyTree]
    begin: Callable[..., PyTree]
    finish: Callable[..., PyTree]


def make_actor_programs(sebulba: Sebulba) -> ActorPrograms:
    """The programs of all actors."""

    def actor_params(copy: OuterState, update: Any, slots: Any) -> tuple[Any, tuple[PyTree, ...], tuple[PyTree, ...]]:
        state = jax.tree.map(lambda leaf: leaf[0], copy)
        keys = sebulba.lifetime_keys(state, update, slots)
        return sebulba.actor_params(state, slots), keys, tuple(environment_seeds(of_entry) for of_entry in keys)

    def begin(
        copy: OuterState, update: Any, slots: Any, states: tuple[PyTree, ...], starts: tuple[PyTree, ...]
    ) -> tuple[Any, tuple[PyTree, ...], tuple[PyTree, ...], tuple[PyTree, ...]]:
        meta_params, keys, seeds = actor_params(copy, update, slots)
        by_entry = zip(sebulba.entry_actors, states, keys, starts, strict=True)
        begun = [entry_actor.begin(meta_params, *arguments) for entry_actor, *arguments in by_entry]
        return (
            meta_params,
            seeds,
            tuple(state for state, _ in begun),
            tuple(learner_state for _, learner_state in begun),
        )

    def finish(
        states: tuple[PyTree, ...],
        learner_states: tuple[PyTree, ...],
        timesteps: tuple[PyTree, ...],
        first_steps: tuple[PyTree, ...],
    ) -> tuple[PyTree, ...]:
        ended = zip(sebulba.entry_actors, states, learner_states, timesteps, first_steps, strict=True)
        trajectories = tuple(entry_actor.finish(*arguments) for entry_actor, *arguments in ended)
        experiences = [trajectory.experience for trajectory in trajectories]
        return sebulba.shards(trajectories), tuple(
            (experience.reward, experience.episode_end) for experience in experiences
        )

    return ActorPrograms(
        sebulba,
        tuple(_compiled_entry(entry_actor) for entry_actor in sebulba.entry_actors),
        jax.jit(actor_params),
        # The states are given up to each next one, so that a trajectory grows in place.
        jax.jit(begin, donate_argnums=3),
        jax.jit(finish),
    )


def _compiled_entry(entry_actor: EntryActor) -> CompiledEntry:
    return CompiledEntry(
        entry_actor,
        jax.jit(entry_actor.init),
        jax.jit(entry_actor.act, donate_argnums=1),
        jax.jit(functools.partial(entry_actor.unroll, _turned), donate_argnums=1),
    )


def _turned(timestep: dm_env.TimeStep, actions: jax.Array) -> dm_env.TimeStep:
    """The time steps, for the lifetimes in reverse order: the compiler would reuse the result of unchanged inputs."""
    return timestep._replace(observation=timestep.observation[::-1])
