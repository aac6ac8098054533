"""Sebulba: actors and a learner, for host environments (Podracer, Hessel et al. 2021, section 4).

The programs of both sides, as pure functions. An actor rolls out all lifetimes of its slots in parallel: at every env
step it takes the time steps of a batch of environments and returns a batch of actions, while learner states and the
growing trajectory stay on its device. After an unroll it hands over one shard of summaries for each learner device. On
every learner device, the learner joins the shards of all actors and updates.

An update takes one unroll of every actor, so the work of an update is the same for any number of actors and learner
devices. Learner device d holds the d-th range of slots, as on Anakin. Each actor has an equal part of every range of
its own process, so that processes exchange no experience.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.architectures.sebulba.entry_actor import EntryActor
from podmeta.learners.base import MetaParams
from podmeta.outer.base import (
    InstanceSettings,
    Metrics,
    OuterLoop,
    OuterState,
    Summaries,
    Trajectory,
)
from podmeta.outer.staggering import unrolls_done


@dataclasses.dataclass(frozen=True, eq=False)  # compared by identity, so that JAX can hash its methods
class Sebulba:
    """The programs of actors and learner.

    Attributes:
      outer_loop: the outer loop.
      entry_actors: by entry.
      slots: the slots of each actor of this process.
      num_learner_devices: devices of this process that the update is mapped over.
      slots_per_shard: slots of one actor for one learner device.
    """

    outer_loop: OuterLoop
    entry_actors: tuple[EntryActor, ...]
    slots: Int[np.ndarray, "num_actors num_slots"]
    num_learner_devices: int
    slots_per_shard: int

    @property
    def env_steps_per_update(self) -> int:
        """Env steps of all actors, of all processes, in one update."""
        return self.outer_loop.env_steps_per_update

    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> TrainingState:
        """The state before the first update, from settings [1] and θ [1, ...] or None for a fresh one."""
        return TrainingState(jax.vmap(self.outer_loop.init)(settings, meta_params), ())

    def actor_params(self, outer: OuterState, slots: Int[Array, "num_slots"]) -> MetaParams:
        """The θ that acts: [num_slots * num_members, ...], or θ itself if there are no members."""
        loop = self.outer_loop
        draws = jax.vmap(loop.draw, in_axes=(None, 0))(outer, slots)
        if loop.num_members == 0:
            return loop.actor_params(outer, draws, jnp.int32(0))
        over_members = jax.vmap(loop.actor_params, in_axes=(None, None, 0))
        params = jax.vmap(over_members, in_axes=(None, 0, None))(outer, draws, jnp.arange(loop.num_members))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)

    def lifetime_keys(
        self, outer: OuterState, update: Int[Array, ""], slots: Int[Array, "num_slots"]
    ) -> tuple[Key[Array, "_"], ...]:
        """By entry, the keys [num] of lifetimes that begin with an update. Members of a slot have the same."""
        keys = jax.vmap(self.outer_loop.lifetime_keys, in_axes=(None, None, 0))(outer, update, slots)
        num_members = max(self.outer_loop.num_members, 1)
        return tuple(jnp.repeat(of_entry[:, None], num_members, axis=1).reshape(-1) for of_entry in keys)

    def first_steps(self, update: int, slots: Int[np.ndarray, "num_slots"]) -> tuple[Int[np.ndarray, "_"], ...]:
        """By entry, the env steps [num] of each lifetime before an update, if the actor is not new."""
        num_lifetimes = (actor.num_lifetimes // len(slots) for actor in self.entry_actors)
        by_entry = zip(num_lifetimes, self.outer_loop.unroll_lengths, self.outer_loop.unrolls_per_lifetime, strict=True)
        since = update - self.outer_loop.first_update
        return tuple(
            np.repeat(unrolls_done(since, slots, num_unrolls) * unroll_length, num).astype(np.int32)
            for num, unroll_length, num_unrolls in by_entry
        )

    def is_staggered(self, slots: Int[np.ndarray, "num_slots"]) -> tuple[bool, ...]:
        """By entry, whether some lifetime of these slots continues across every update except an actor's first."""
        num_updates = max(self.outer_loop.unrolls_per_lifetime)
        first_steps = [self.first_steps(update, slots) for update in range(num_updates)]
        return tuple(all(steps.any() for steps in by_update) for by_update in zip(*first_steps, strict=True))

    def shards(self, trajectories: tuple[Trajectory, ...]) -> tuple[Summaries, ...]:
        """The summaries of an actor's trajectories (by entry): by learner device, [1, ...] for its range of slots."""
        members = (self.outer_loop.num_members,) if self.outer_loop.num_members else ()
        num_slots = self.num_learner_devices * self.slots_per_shard
        by_slot = tuple(
            jax.tree.map(
                lambda leaf, n=entry.lifetimes: leaf.reshape(num_slots, *members, n, *leaf.shape[1:]), of_entry
            )
            for entry, of_entry in zip(self.outer_loop.entries, trajectories, strict=True)
        )
        summaries = jax.vmap(self.outer_loop.summarise)(by_slot)
        divided = jax.tree.map(
            lambda leaf: leaf.reshape(self.num_learner_devices, self.slots_per_shard, *leaf.shape[1:]), summaries
        )
        devices = range(self.num_learner_devices)
        return tuple(jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], divided) for i in devices)

    def update(self, outer: OuterState, by_actor: tuple[Summaries, ...]) -> tuple[OuterState, Metrics]:
        """One update of a learner device, under DEVICE_AXIS, from the shards of all actors."""
        slots_per_device = self.slots_per_shard * len(self.slots)
        slots = jax.lax.axis_index(DEVICE_AXIS) * slots_per_device + jnp.arange(slots_per_device)
        summaries = jax.tree.map(lambda *parts: jnp.concatenate(parts), *by_actor)
        draws = jax.vmap(self.outer_loop.draw, in_axes=(None, 0))(outer, slots)
        return self.outer_loop.update(outer, draws, summaries, DEVICE_AXIS)


def make_sebulba(
    outer_loop: OuterLoop,
    *,
    num_actors: int,
    num_learner_devices: int,
    process: int = 0,
    num_processes: int = 1,
) -> Sebulba:
    """Builds the programs that run an outer loop with `num_actors` actors and `num_learner_devices` learner devices.

    Args:
      outer_loop: the outer loop; its slots must divide over processes times actors times learner devices.
      num_actors: actors of this process, over all its actor devices.
      num_learner_devices: devices of this process that the update is mapped over.
      process: which of the job's processes this is.
      num_processes: processes of the job, all with as many actors and learner devices.

    Returns:
      The programs.
    """
    slots_per_shard = outer_loop.num_slots // (num_processes * num_learner_devices * num_actors)
    num_slots = slots_per_shard * num_learner_devices
    all_slots = np.arange(outer_loop.num_slots, dtype=np.int32)
    by_device = all_slots.reshape(num_processes, num_learner_devices, num_actors, slots_per_shard)[process]
    entry_actors = tuple(
        EntryActor(
            entry,
            num_lifetimes=num_slots * max(outer_loop.num_members, 1) * entry.lifetimes,
            unroll_length=unroll_length,
            num_members=num_slots * outer_loop.num_members,
            uses_actor_outputs=outer_loop.uses_actor_outputs,
        )
        for entry, unroll_length in zip(outer_loop.entries, outer_loop.unroll_lengths, strict=True)
    )
    slots = by_device.transpose(1, 0, 2).reshape(num_actors, num_slots)
    return Sebulba(outer_loop, entry_actors, slots, num_learner_devices, slots_per_shard)
