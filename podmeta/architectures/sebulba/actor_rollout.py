"""The rollout of the lifetimes of one entry by one actor: a batch of host environments, and what is kept on a device.

Where the environments have a compiled step and the device is the CPU, both are one program, and an env step needs no
Python: actors of a small network spend most of their time on Python, and waiting for one another's interpreter lock.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import dm_env
import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from podmeta.architectures.sebulba.actor_programs import CompiledEntry
from podmeta.architectures.sebulba.clock import Clock
from podmeta.architectures.sebulba.entry_actor import ActorState, EntryActor
from podmeta.architectures.sebulba.fast_dispatch import quickly_called
from podmeta.environments.host.base import CompiledStep, HostEnvironment

QUEUE, INFERENCE, ENVIRONMENT = "queue", "inference", "environment"
_LOOK_EVERY_S = 0.1  # about how long a program runs before it checks whether the actor is to stop
_TIMED_FOR_S = 0.005  # how long inference is timed for at least: what a call costs is then little of it


class EpisodeReturns:
    """The returns of the episodes of a batch of environments, as they end."""

    def __init__(self, num_environments: int) -> None:
        self._running = np.zeros(num_environments)
        self._has_ended = np.zeros(num_environments, bool)  # with the last env step
        self._under_way = np.zeros(num_environments, bool)  # whether an action was taken in the episode

    def restart(self, starts: Bool[np.ndarray, "num"]) -> int:
        """Forgets the episodes that a new lifetime cuts off, and counts them."""
        num_cut_off = int((self._under_way & starts).sum())
        self._running[starts] = 0.0
        self._has_ended[starts] = self._under_way[starts] = False
        return num_cut_off

    def add(self, rewards: Float[np.ndarray, "num time"], episode_ends: Bool[np.ndarray, "num time"]) -> list[float]:
        """Counts the rewards of an unroll; the returns of the episodes that have ended in it."""
        since = self._running[:, None] + np.cumsum(rewards, axis=1, dtype=np.float64)
        environments, steps = np.nonzero(episode_ends)
        totals = since[environments, steps]
        # Of each environment in turn, its episodes one after the other: an episode's return is what the total grew by.
        is_first = np.diff(environments, prepend=-1) > 0
        before = np.where(is_first, 0.0, np.roll(totals, 1))
        is_last = np.roll(is_first, -1)
        self._running = since[:, -1].copy()
        self._running[environments[is_last]] -= totals[is_last]
        ended = np.column_stack([self._has_ended, episode_ends]).astype(bool)
        self._has_ended = ended[:, -1]
        self._under_way = ~(ended[:, -1] | ended[:, -2])  # an env step after an end is a reset
        return (totals - before).tolist()


class ActorRollout:
    """Rolls out the lifetimes of one entry for one actor.

    Attributes:
      environment: the batch of environments.
      state: what is kept of them on the device.
      timestep: [num, ...] where they are, on the host or the device.
      returns: the returns of their episodes.
    """

    state: ActorState
    timestep: dm_env.TimeStep
    _compiled_unroll: Callable  # only where there is a compiled step

    def __init__(
        self, programs: CompiledEntry, entry_actor: EntryActor, environment: HostEnvironment, clock: Clock
    ) -> None:
        self.environment = environment
        self.returns = EpisodeReturns(environment.num_environments)
        self._programs = programs
        self._entry_actor = entry_actor
        self._clock = clock
        self._compiled: CompiledStep | None = None
        self._seconds_to_act = 0.0
        self._steps_at_once = 1

    def start(self, meta_params: Any, keys: jax.Array, seeds: UInt32[np.ndarray, "num"]) -> ActorState:
        """Starts all lifetimes.

        Args:
          meta_params: the θ that acts.
          keys: [num] of the lifetimes.
          seeds: of their tasks and environments.

        Returns:
          The same state again, to warm up with.
        """
        with self._clock.spending(ENVIRONMENT):
            self.timestep = self.environment.reset(np.ones(self.environment.num_environments, bool), seeds)
        self.state = self._programs.init(meta_params, keys, self.timestep)
        return self._programs.init(meta_params, keys, self.timestep)

    def warm_up(self, meta_params: Any, state: ActorState, *, device: jax.Device, staggered: bool) -> ActorState:
        """Compiles the programs of an unroll.

        Args:
          meta_params: the θ that acts.
          state: one that has begun an unroll, and may be spoilt.
          device: the actor's.
          staggered: whether lifetimes never start all at once again. A compiled step ends where they do.

        Returns:
          What has become of the state.
        """
        self._compiled = self.environment.compiled_step() if staggered and device.platform == "cpu" else None
        if self._compiled is None:
            state, _ = self._programs.act(meta_params, state, self.timestep)
            return state
        unroll = functools.partial(self._entry_actor.unroll, self._compiled.step)
        arguments = (meta_params, state, self.timestep, np.int32(0))
        self._compiled_unroll = quickly_called(unroll, arguments, donate_argnums=1)
        state, _ = self._compiled_unroll(*arguments)
        return self._time_acting(meta_params, state)

    def restart(self, starts: Bool[np.ndarray, "num"], seeds: UInt32[np.ndarray, "num"]) -> int:
        """Begins lifetimes in the environments of `starts`. Returns how many episodes that cuts off."""
        with self._clock.spending(ENVIRONMENT):
            self.timestep = self.environment.reset(starts, seeds)
        return self.returns.restart(starts)

    def unroll(self, meta_params: Any, stopped: Callable[[], bool]) -> None:
        """Steps all lifetimes to the end of the unroll, or to an earlier step when the actor is to stop."""
        position = 0
        while position < self._entry_actor.unroll_length and not stopped():
            if self._compiled is None:
                self._step(meta_params)
                position += 1
            else:
                position = self._run(self._compiled, meta_params, position)

    def _step(self, meta_params: Any) -> None:
        """One env step, from Python."""
        with self._clock.spending(INFERENCE):
            self.state, device_actions = self._programs.act(meta_params, self.state, self.timestep)
            actions: Int[np.ndarray, num] | Float[np.ndarray, "num num_actions"] = np.asarray(device_actions)
        with self._clock.spending(ENVIRONMENT):
            self.timestep = self.environment.step(actions)

    def _run(self, compiled: CompiledStep, meta_params: Any, position: int) -> int:
        """Env steps in one program, from a position of the unroll; returns that which is reached."""
        until = np.int32(min(position + self._steps_at_once, self._entry_actor.unroll_length))
        start = time.perf_counter()
        with self._clock.spending(ENVIRONMENT):  # whose failure to answer is looked for
            self.state, self.timestep = self._compiled_unroll(meta_params, self.state, self.timestep, until)
            host_timestep = dm_env.TimeStep(*map(np.asarray, self.timestep))
        seconds = time.perf_counter() - start
        reached = int(self.state.position)
        self._clock.divide(min(seconds, self._seconds_to_act * (reached - position)), ENVIRONMENT, INFERENCE)
        compiled.has_stepped(reached - position, host_timestep)
        self._steps_at_once = max(1, int(_LOOK_EVERY_S / seconds * (reached - position)))
        return reached

    def _time_acting(self, meta_params: Any, state: ActorState) -> ActorState:
        """Sees how long inference takes in a program, where its part of the time cannot be seen otherwise."""
        state, _ = self._programs.act_alone(meta_params, state, self.timestep, 0)
        seconds, position, num_steps = 0.0, 0, 1
        while seconds < _TIMED_FOR_S:
            num_steps *= 2
            position += num_steps
            start = time.perf_counter()
            acted = self._programs.act_alone(meta_params, state, self.timestep, position)
            state, _ = jax.block_until_ready(acted)
            seconds = time.perf_counter() - start
        self._seconds_to_act = seconds / num_steps
        return state
