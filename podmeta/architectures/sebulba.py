"""Sebulba: actors and a learner, for environments that live on the host (Podracer, Hessel et al. 2021, section 4).

The programs of both sides, as pure functions. An actor rolls out its slots of the outer loop, all their lifetimes side
by side: at every env step it takes the time steps of a batch of environments and gives a batch of actions, while
learner states and the growing trajectory stay on its device. After an unroll it hands over one shard of what must
travel for each learner device. On every learner device, the learner joins the shards of all actors and updates.

An update takes one unroll of every actor, so the work of an update is the same for any number of actors and learner
devices. Learner device d holds the d-th run of slots, as on Anakin; each actor has an equal part of every run of its
own process, so that no experience travels between processes.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.architectures.packing import Packed, pack, unpack
from podmeta.learners.base import LearnerState, MetaParams
from podmeta.learners.policies import Action, Noise
from podmeta.lifetimes import Decision, Experience, LifetimeState, action_noise, decide
from podmeta.outer.base import (
    Entry,
    InstanceSettings,
    Metrics,
    OuterLoop,
    OuterState,
    Summaries,
    Trajectory,
)
from podmeta.outer.staggering import unrolls_done

LAST = int(dm_env.StepType.LAST)
EnvironmentStep = Callable[[dm_env.TimeStep, Action], dm_env.TimeStep]


class Record(NamedTuple):
    """What an actor keeps of one env step. `num` is the number of lifetimes side by side.

    Attributes:
      decision: [num, ...] what the learner made of the time step; None where only rewards count.
      step_type, reward, discount: [num] of the time step.
    """

    decision: Decision | None
    step_type: Int[Array, "*time num"]
    reward: Float[Array, "*time num"]
    discount: Float[Array, "*time num"]


class ActorState(NamedTuple):
    """What an actor keeps on its device for the lifetimes of one entry.

    Attributes:
      lifetimes: [num, ...] the lifetimes, whose tasks, environments and time steps are on the host.
      noise: [unroll_length, num, ...] the noise of the unroll's actions, drawn at once because that is cheaper.
      records: [unroll_length, num, ...] the growing trajectory, of a `Record` each env step.
      position: [] env steps of the unroll done.
    """

    lifetimes: LifetimeState
    noise: Noise
    records: Packed
    position: Int[Array, ""]


class EntryActor(NamedTuple):
    """The programs by which an actor lets the lifetimes of one entry live.

    Attributes:
      entry: the entry.
      num_lifetimes: lifetimes side by side.
      unroll_length: env steps of an update.
      init: (θ that acts, keys [num], time step [num, ...]) -> a state, in which nothing has been lived.
      begin: (θ that acts, state, keys [num], starts [num]) -> (state, learner states [num, ...]) at the start of an
        unroll: lifetimes are born where one starts.
      act: (θ that acts, state, time step [num, ...]) -> (state, actions [num, ...]).
      live: (a step of the environments that programs can call, θ that acts, state, time step [num, ...], position) ->
        (state, time step) when that position of the unroll is reached, or a time step holds a NaN or an infinite
        number.
      finish: (state, learner states, time step [num, ...], first_step [num]) -> the trajectory [num, ...] of an
        unroll that has begun with these learner states and ends with this time step.
    """

    entry: Entry
    num_lifetimes: int
    unroll_length: int
    init: Callable[[MetaParams, Key[Array, "num"], dm_env.TimeStep], ActorState]
    begin: Callable[[MetaParams, ActorState, Key[Array, "num"], Bool[Array, "num"]], tuple[ActorState, LearnerState]]
    act: Callable[[MetaParams, ActorState, dm_env.TimeStep], tuple[ActorState, Action]]
    live: Callable[
        [EnvironmentStep, MetaParams, ActorState, dm_env.TimeStep, Int[Array, ""]], tuple[ActorState, dm_env.TimeStep]
    ]
    finish: Callable[[ActorState, LearnerState, dm_env.TimeStep, Int[Array, "num"]], Trajectory]


class Sebulba(NamedTuple):
    """The programs of actors and learner.

    Attributes:
      outer_loop: the outer loop.
      init: (settings [1], θ [1, ...] or None for a fresh one) -> the state.
      entry_actors: by entry.
      slots: [num_actors, slots of an actor] which slots each actor of this process rolls out.
      shards: (trajectories by entry) -> what must travel, by learner device: [1, …] of its run of the actor's slots.
      update: (outer state, by actor what has travelled to this device) -> (outer state, metrics); under DEVICE_AXIS.
      env_steps_per_update: env steps of all actors, of all processes, in one update.
    """

    outer_loop: OuterLoop
    init: Callable[..., TrainingState]
    entry_actors: tuple[EntryActor, ...]
    slots: Int[np.ndarray, "num_actors num_slots"]
    shards: Callable[[tuple[Trajectory, ...]], tuple[Summaries, ...]]
    update: Callable[[OuterState, tuple[Summaries, ...]], tuple[OuterState, Metrics]]
    env_steps_per_update: int

    def acting_params(self, outer: OuterState, slots: Int[Array, "num_slots"]) -> MetaParams:
        """The θ that acts: [num_slots * num_members, ...], or θ itself where there are no members."""
        loop = self.outer_loop
        draws = jax.vmap(loop.draw, in_axes=(None, 0))(outer, slots)
        if loop.num_members == 0:
            return loop.acting_params(outer, draws, jnp.int32(0))
        over_members = jax.vmap(loop.acting_params, in_axes=(None, None, 0))
        acting = jax.vmap(over_members, in_axes=(None, 0, None))(outer, draws, jnp.arange(loop.num_members))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), acting)

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
    slots_per_device = outer_loop.num_slots // (num_processes * num_learner_devices)
    slots_per_shard = slots_per_device // num_actors
    num_slots = slots_per_shard * num_learner_devices
    all_slots = np.arange(outer_loop.num_slots, dtype=np.int32)
    by_device = all_slots.reshape(num_processes, num_learner_devices, num_actors, slots_per_shard)[process]
    members = (outer_loop.num_members,) if outer_loop.num_members else ()

    def init(settings: InstanceSettings, meta_params: MetaParams | None = None) -> TrainingState:
        return TrainingState(jax.vmap(outer_loop.init)(settings, meta_params), ())

    def shards(trajectories: tuple[Trajectory, ...]) -> tuple[Summaries, ...]:
        by_slot = tuple(
            jax.tree.map(
                lambda leaf, n=entry.lifetimes: leaf.reshape(num_slots, *members, n, *leaf.shape[1:]), of_entry
            )
            for entry, of_entry in zip(outer_loop.entries, trajectories, strict=True)
        )
        summaries = jax.vmap(outer_loop.summarise)(by_slot)
        divided = jax.tree.map(
            lambda leaf: leaf.reshape(num_learner_devices, slots_per_shard, *leaf.shape[1:]), summaries
        )
        devices = range(num_learner_devices)
        return tuple(jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], divided) for i in devices)

    def update(outer: OuterState, by_actor: tuple[Summaries, ...]) -> tuple[OuterState, Metrics]:
        slots = jax.lax.axis_index(DEVICE_AXIS) * slots_per_device + jnp.arange(slots_per_device)
        summaries = jax.tree.map(lambda *parts: jnp.concatenate(parts), *by_actor)
        draws = jax.vmap(outer_loop.draw, in_axes=(None, 0))(outer, slots)
        return outer_loop.update(outer, draws, summaries, DEVICE_AXIS)

    num_members = num_slots * outer_loop.num_members
    entry_actors = tuple(
        make_entry_actor(
            entry,
            num_slots * max(outer_loop.num_members, 1) * entry.lifetimes,
            unroll_length,
            num_members,
            outer_loop.uses_decisions,
        )
        for entry, unroll_length in zip(outer_loop.entries, outer_loop.unroll_lengths, strict=True)
    )
    return Sebulba(
        outer_loop=outer_loop,
        init=init,
        entry_actors=entry_actors,
        slots=by_device.transpose(1, 0, 2).reshape(num_actors, num_slots),
        shards=shards,
        update=update,
        env_steps_per_update=outer_loop.env_steps_per_update,
    )


def environment_seeds(keys: Key[Array, "num"]) -> UInt32[Array, "num"]:
    """The seeds of the tasks and environments of lifetimes with these keys."""
    return jax.vmap(lambda key: jax.random.bits(_birth_keys(key)[0], dtype=jnp.uint32))(keys)


def _birth_keys(key: Key[Array, ""]) -> Key[Array, "3"]:
    """The keys of a lifetime's task and environment, of its learner state, and of its env steps."""
    return jax.random.split(key, 3)


def make_entry_actor(
    entry: Entry, num_lifetimes: int, unroll_length: int, num_members: int, uses_decisions: bool
) -> EntryActor:
    """The programs by which an actor lets lifetimes of one entry live.

    Args:
      entry: the entry.
      num_lifetimes: lifetimes side by side.
      unroll_length: env steps of an update.
      num_members: members that share the lifetimes out in equal runs, each with a θ of its own; 0: all have one θ.
      uses_decisions: whether more than rewards and discounts is kept.
    """
    inner_loop = entry.inner_loop

    def over_lifetimes(function: Callable, meta_params: MetaParams, *arguments: Any) -> Any:
        if num_members == 0:
            return jax.vmap(lambda *one: function(meta_params, *one))(*arguments)
        by_member = jax.tree.map(lambda leaf: leaf.reshape(num_members, -1, *leaf.shape[1:]), arguments)
        over_members = jax.vmap(lambda member, several: jax.vmap(lambda one: function(member, *one))(several))
        results = over_members(meta_params, by_member)
        return jax.tree.map(lambda leaf: leaf.reshape(num_lifetimes, *leaf.shape[2:]), results)

    def born(meta_params: MetaParams, key: Key[Array, ""]) -> LifetimeState:
        _, learner_key, lifetime_key = _birth_keys(key)
        return LifetimeState(
            key_data=jax.random.key_data(lifetime_key),
            num_steps=jnp.zeros((), jnp.int32),
            task=(),
            environment_state=(),
            timestep=(),
            previous_action=jnp.zeros(inner_loop.policy.num_actions),
            learner_state=inner_loop.initial_state(meta_params, learner_key),
        )

    def decided(
        meta_params: MetaParams, lifetimes: LifetimeState, noise: Noise, timestep: dm_env.TimeStep
    ) -> tuple[Record, Action, LifetimeState]:
        decision, lifetimes = over_lifetimes(
            functools.partial(decide, inner_loop.step, inner_loop.policy, inner_loop.see),
            meta_params,
            lifetimes._replace(timestep=timestep),
            noise,
        )
        kept = decision if uses_decisions else None
        record = Record(kept, timestep.step_type, timestep.reward, timestep.discount)
        return record, jax.vmap(inner_loop.policy.to_environment)(decision.action), lifetimes._replace(timestep=())

    def drawn(lifetimes: LifetimeState) -> Noise:
        draw = functools.partial(action_noise, inner_loop.policy, num_steps=unroll_length)
        return jax.vmap(draw, out_axes=1)(lifetimes)

    def init(meta_params: MetaParams, keys: Key[Array, "num"], timestep: dm_env.TimeStep) -> ActorState:
        lifetimes = over_lifetimes(born, meta_params, keys)
        noise = drawn(lifetimes)

        def recorded(lifetimes: LifetimeState, noise: Noise) -> Packed:
            return pack(decided(meta_params, lifetimes, noise, timestep)[0])

        shapes = jax.eval_shape(recorded, lifetimes, noise[0])
        records = jax.tree.map(lambda leaf: jnp.zeros((unroll_length, *leaf.shape), leaf.dtype), shapes)
        return ActorState(lifetimes, noise, records, jnp.zeros((), jnp.int32))

    def begin(
        meta_params: MetaParams, state: ActorState, keys: Key[Array, "num"], starts: Bool[Array, "num"]
    ) -> tuple[ActorState, LearnerState]:
        newborn = over_lifetimes(born, meta_params, keys)
        lifetimes = jax.tree.map(
            lambda new, old: jnp.where(starts.reshape(-1, *(1,) * (new.ndim - 1)), new, old), newborn, state.lifetimes
        )
        begun = ActorState(lifetimes, drawn(lifetimes), state.records, jnp.zeros((), jnp.int32))
        return begun, lifetimes.learner_state

    def act(meta_params: MetaParams, state: ActorState, timestep: dm_env.TimeStep) -> tuple[ActorState, Action]:
        # By functions that do not look whether the position is within, for at every env step that would cost as much.
        noise = jax.lax.dynamic_index_in_dim(state.noise, state.position, keepdims=False)
        record, actions, lifetimes = decided(meta_params, state.lifetimes, noise, timestep)
        records = jax.tree.map(
            lambda growing, new: jax.lax.dynamic_update_index_in_dim(growing, new, state.position, axis=0),
            state.records,
            pack(record),
        )
        return state._replace(lifetimes=lifetimes, records=records, position=state.position + 1), actions

    def live(
        step: EnvironmentStep,
        meta_params: MetaParams,
        state: ActorState,
        timestep: dm_env.TimeStep,
        until: Int[Array, ""],
    ) -> tuple[ActorState, dm_env.TimeStep]:
        def goes_on(lived: tuple[ActorState, dm_env.TimeStep]) -> Bool[Array, ""]:
            state, timestep = lived
            finite = jnp.isfinite(timestep.reward).all() & jnp.isfinite(timestep.observation).all()
            return (state.position < until) & finite

        def env_step(lived: tuple[ActorState, dm_env.TimeStep]) -> tuple[ActorState, dm_env.TimeStep]:
            state, timestep = lived
            state, actions = act(meta_params, state, timestep)
            return state, step(timestep, actions)

        return jax.lax.while_loop(goes_on, env_step, (state, timestep))

    def finish(
        state: ActorState, learner_state: LearnerState, timestep: dm_env.TimeStep, first_step: Int[Array, "num"]
    ) -> Trajectory:
        def shifted(leaf: Array, last: Array) -> Array:
            return jnp.append(leaf[1:], last[None], axis=0).swapaxes(0, 1)

        records: Record = unpack(state.records)
        learner_input, learner_output, action = jax.tree.map(
            lambda leaf: leaf.swapaxes(0, 1), records.decision or (None, None, None)
        )
        experience = Experience(
            learner_input=learner_input,
            learner_output=learner_output,
            action=action,
            action_ignored=(records.step_type == LAST).swapaxes(0, 1),
            follows_truncation=((records.step_type == LAST) & (records.discount > 0)).swapaxes(0, 1),
            reward=shifted(records.reward, timestep.reward),
            discount=shifted(records.discount, timestep.discount),
            episode_end=shifted(records.step_type, timestep.step_type) == LAST,
            expected_reward=None,
            regret=None,
        )
        final_input = jax.vmap(inner_loop.see)(timestep, state.lifetimes.previous_action)
        return Trajectory(learner_state, experience, final_input, first_step)

    return EntryActor(entry, num_lifetimes, unroll_length, init, begin, act, live, finish)
