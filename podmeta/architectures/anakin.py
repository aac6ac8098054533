"""Anakin: environment and learner in one compiled program on the devices (Podracer, Hessel et al. 2021, section 3).

This is the program of one device. It rolls out the slots of the outer loop in parallel under `vmap`, and runs many
updates in a scan, without the host. The caller maps the program over devices under the axis `DEVICE_AXIS`; each device
computes its share of the slots from its index.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from podmeta.architectures.base import DEVICE_AXIS, SlotLifetimes, TrainingState
from podmeta.arithmetic import own_types
from podmeta.inner_loop import LifetimeState
from podmeta.learners.base import MetaParams
from podmeta.outer.base import (
    Draw,
    InstanceSettings,
    Metrics,
    OuterLoop,
    OuterState,
    Summaries,
    Trajectory,
)
from podmeta.outer.staggering import unrolls_done


class Rollout(NamedTuple):
    """Rolls out the slots of an outer loop in compiled environments. All functions are for one slot.

    Attributes:
      outer_loop: the outer loop.
    """

    outer_loop: OuterLoop

    @own_types()
    def init(self, outer: OuterState, slot: Int[Array, ""]) -> SlotLifetimes:
        """The lifetimes that continue across updates, at their first env step."""
        entry_keys = self.outer_loop.lifetime_keys(outer, outer.update, slot)
        draw = self.outer_loop.draw(outer, slot)

        def of_member(member: Int[Array, ""]) -> SlotLifetimes:
            meta_params = self.outer_loop.actor_params(outer, draw, member)
            return tuple(
                self._begin(index, meta_params, keys) if self._lasts(index) else ()
                for index, keys in enumerate(entry_keys)
            )

        return self._over_members(of_member)

    @own_types()
    def unroll(
        self, outer: OuterState, slot: Int[Array, ""], lifetimes: SlotLifetimes
    ) -> tuple[SlotLifetimes, Draw, Summaries]:
        """Rolls out the lifetimes of a slot for one update. Returns them, with the slot's draws and summary."""
        entry_keys = self.outer_loop.lifetime_keys(outer, outer.update, slot)
        draw = self.outer_loop.draw(outer, slot)

        def of_member(member: Int[Array, ""], lifetimes: SlotLifetimes) -> tuple[SlotLifetimes, tuple[Trajectory, ...]]:
            meta_params = self.outer_loop.actor_params(outer, draw, member)
            unrolled = [
                self._unroll_entry(index, outer, slot, meta_params, *of_entry)
                for index, of_entry in enumerate(zip(entry_keys, lifetimes, strict=True))
            ]
            return tuple(after for after, _ in unrolled), tuple(trajectory for _, trajectory in unrolled)

        lifetimes, trajectories = self._over_members(of_member, lifetimes)
        return lifetimes, draw, self.outer_loop.summarise(trajectories)

    def _unroll_entry(
        self,
        index: int,
        outer: OuterState,
        slot: Int[Array, ""],
        meta_params: MetaParams,
        keys: Key[Array, "lifetimes"],
        lifetimes: LifetimeState | tuple[()],
    ) -> tuple[LifetimeState | tuple[()], Trajectory]:
        """Rolls out the lifetimes of one entry. Those that begin with this update start at their first env step."""
        inner_loop, unroll_length = self.outer_loop.entries[index].inner_loop, self.outer_loop.unroll_lengths[index]
        num_unrolls = self.outer_loop.unrolls_per_lifetime[index]
        done = unrolls_done(outer.update - self.outer_loop.first_update, slot, num_unrolls)

        def unroll(before: LifetimeState) -> tuple[LifetimeState, Trajectory]:
            after, experience = inner_loop.unroll(meta_params, before, unroll_length)
            final_input = inner_loop.make_learner_input(after.timestep, after.previous_action)
            return after, Trajectory(before.learner_state, experience, final_input, done * unroll_length)

        fresh = self._begin(index, meta_params, keys)
        if not self._lasts(index):
            return (), jax.vmap(unroll)(fresh)[1]
        return jax.vmap(unroll)(jax.tree.map(lambda new, old: jnp.where(done == 0, new, old), fresh, lifetimes))

    def _begin(self, index: int, meta_params: MetaParams, keys: Key[Array, "lifetimes"]) -> LifetimeState:
        return jax.vmap(self.outer_loop.entries[index].inner_loop.reset, in_axes=(None, 0))(meta_params, keys)

    def _lasts(self, index: int) -> bool:
        """Whether the lifetimes of an entry continue across updates."""
        return self.outer_loop.unrolls_per_lifetime[index] > 1

    def _over_members(self, function: Callable[..., Any], *arguments: SlotLifetimes) -> Any:
        """Maps a function of member and arguments over the members. If θ itself acts, calls it once."""
        if self.outer_loop.num_members == 0:
            return function(jnp.int32(0), *arguments)
        return jax.vmap(function)(jnp.arange(self.outer_loop.num_members), *arguments)


@dataclasses.dataclass(frozen=True, eq=False)  # compared by identity, so that JAX can hash its methods
class Anakin:
    """The program of one device that runs an outer loop.

    Attributes:
      outer_loop: the outer loop; its slots must divide over the devices.
      num_instances: number of independent meta-learners.
      num_devices: devices of all processes that the program is mapped over.
      rows_at_once: slots that a device rolls out at a time; 0: all.
    """

    outer_loop: OuterLoop
    num_instances: int
    num_devices: int
    rows_at_once: int = 0

    @property
    def env_steps_per_update(self) -> int:
        """Env steps of all devices and instances in one update."""
        return self.outer_loop.env_steps_per_update * self.num_instances

    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> TrainingState:
        """The state before the first update, with the slots of all devices.

        Args:
          settings: [num_instances] of the instances.
          meta_params: [num_instances, ...] θ; None for a fresh one.
        """
        outer = jax.vmap(self.outer_loop.init)(settings, meta_params)
        slots = jnp.arange(self.outer_loop.num_slots)
        over_instances = jax.vmap(Rollout(self.outer_loop).init, in_axes=(0, None))
        return TrainingState(outer, jax.vmap(over_instances, in_axes=(None, 0))(outer, slots))

    def run(self, state: TrainingState, num_updates: int) -> tuple[TrainingState, Metrics]:
        """Updates a state that holds this device's slots, under DEVICE_AXIS.

        Returns:
          Such a state, and the metrics [num_updates, num_instances].
        """
        over_instances = _over_instances(self._update, self.num_instances)

        def step(state: TrainingState, _: None) -> tuple[TrainingState, Metrics]:
            outer, lifetimes, metrics = over_instances(state.outer, state.lifetimes)
            return TrainingState(outer, lifetimes), metrics

        return jax.lax.scan(step, state, length=num_updates)

    def _update(self, outer: OuterState, lifetimes: SlotLifetimes) -> tuple[OuterState, SlotLifetimes, Metrics]:
        num_local_slots = self.outer_loop.num_slots // self.num_devices
        slots = jax.lax.axis_index(DEVICE_AXIS) * num_local_slots + jnp.arange(num_local_slots)
        lifetimes, draws, summaries = self._unroll(outer, slots, lifetimes)
        outer, metrics = self.outer_loop.update(outer, draws, summaries, DEVICE_AXIS)
        return outer, lifetimes, metrics

    def _unroll(
        self, outer: OuterState, slots: Int[Array, "num_local_slots"], lifetimes: SlotLifetimes
    ) -> tuple[SlotLifetimes, Draw, Summaries]:
        unroll = Rollout(self.outer_loop).unroll
        if self.rows_at_once in range(1, len(slots)):
            return jax.lax.map(lambda slot: unroll(outer, *slot), (slots, lifetimes), batch_size=self.rows_at_once)
        return jax.vmap(unroll, in_axes=(None, 0, 0))(outer, slots, lifetimes)


def _over_instances(update: Callable[..., Any], num_instances: int) -> Callable[..., Any]:
    """Maps an update over instances. A single one has no axis, because the axis would cost speed."""
    if num_instances > 1:
        return jax.vmap(update, in_axes=(0, 1), out_axes=(0, 1, 0))

    def update_the_one(outer: OuterState, lifetimes: SlotLifetimes) -> tuple[OuterState, SlotLifetimes, Metrics]:
        outer = jax.tree.map(lambda leaf: leaf[0], outer)
        outer, lifetimes, metrics = update(outer, jax.tree.map(lambda leaf: leaf[:, 0], lifetimes))
        return (
            jax.tree.map(lambda leaf: leaf[None], outer),
            jax.tree.map(lambda leaf: leaf[:, None], lifetimes),
            jax.tree.map(lambda leaf: leaf[None], metrics),
        )

    return update_the_one
