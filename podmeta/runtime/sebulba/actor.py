"""One actor: a thread that lets its rows live, on its own batch of host environments and one actor device."""

import threading
from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple

import dm_env
import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from podmeta.architectures.sebulba import ActorState, EntryActor, Sebulba, environment_seeds
from podmeta.environments.host.base import HostEnvironment
from podmeta.learners.base import LearnerState
from podmeta.outer.base import OuterState
from podmeta.runtime.sebulba.clock import Clock
from podmeta.runtime.sebulba.cores import keep_to, kept_to
from podmeta.runtime.sebulba.pipeline import Pipeline, Published, Unroll

QUEUE, INFERENCE, ENVIRONMENT = "queue", "inference", "environment"


class CompiledEntry(NamedTuple):
    """The programs of an `EntryActor`, compiled when they are first called on a device."""

    init: Callable
    begin: Callable
    act: Callable


class ActorPrograms(NamedTuple):
    """The programs of all actors, compiled likewise.

    Attributes:
      sebulba: what they are made of.
      entries: by entry.
      behave: (outer state, update, rows) -> (θ that acts, keys by entry, seeds by entry).
      finish: (states, learner states, time steps, lifetime ends; each by entry) -> shards by learner device.
    """

    sebulba: Sebulba
    entries: tuple[CompiledEntry, ...]
    behave: Callable
    finish: Callable


def make_actor_programs(sebulba: Sebulba) -> ActorPrograms:
    """The programs of all actors."""

    def behave(state: OuterState, update: Any, rows: Any) -> tuple[Any, tuple, tuple]:
        keys = sebulba.lifetime_keys(state, update, rows)
        return sebulba.behaviour(state, rows), keys, tuple(environment_seeds(of_entry) for of_entry in keys)

    def finish(states: tuple, learner_states: tuple, timesteps: tuple, lifetime_ends: tuple) -> tuple:
        ended = zip(sebulba.entry_actors, states, learner_states, timesteps, lifetime_ends, strict=True)
        return sebulba.shards(tuple(entry_actor.finish(*arguments) for entry_actor, *arguments in ended))

    return ActorPrograms(
        sebulba,
        tuple(_compiled_entry(entry_actor) for entry_actor in sebulba.entry_actors),
        jax.jit(behave),
        jax.jit(finish),
    )


def _compiled_entry(entry_actor: EntryActor) -> CompiledEntry:
    # The state is given up to each next one, so that a trajectory grows in place.
    return CompiledEntry(
        jax.jit(entry_actor.init),
        jax.jit(entry_actor.begin, donate_argnums=1),
        jax.jit(entry_actor.act, donate_argnums=1),
    )


class EpisodeReturns:
    """The returns of the episodes of a batch of environments, as they end."""

    def __init__(self, num_environments: int) -> None:
        self._running = np.zeros(num_environments)
        self._ended: list[float] = []

    def restart(self, starts: Bool[np.ndarray, "num"]) -> None:
        """Forgets the episodes that a new lifetime has cut off."""
        self._running[starts] = 0.0

    def add(self, timesteps: Sequence[dm_env.TimeStep]) -> None:
        """Counts the rewards of an unroll of time steps [num]."""
        since = np.cumsum([self._running, *(timestep.reward for timestep in timesteps)], axis=0)[1:]
        last = np.array([timestep.step_type for timestep in timesteps]) == dm_env.StepType.LAST
        for environment, step in np.argwhere(last.T).tolist():
            episode = since[step, environment]
            self._ended.append(float(episode))
            since[step:, environment] -= episode
        self._running = since[-1].copy()

    def take(self) -> list[float]:
        """The returns of the episodes that have ended since it was last asked."""
        ended, self._ended = self._ended, []
        return ended


class Actor(threading.Thread):
    """Lets its rows live for one update after another, until the pipeline says stop.

    It reaches no collective: the order of those must be the same everywhere, so that only the learner launches any.
    Whatever goes wrong in it is told to the pipeline.

    Attributes:
      environments: by entry, which this thread alone uses.
      clock: the seconds it has spent on QUEUE, INFERENCE and ENVIRONMENT.
    """

    def __init__(
        self,
        index: int,
        programs: ActorPrograms,
        environments: Sequence[HostEnvironment],
        pipeline: Pipeline,
        device: jax.Device,
        learner_devices: Sequence[jax.Device],
        first_update: int,
        cores: Set[int],
    ) -> None:
        super().__init__(name=f"actor {index}", daemon=True)
        self.environments = tuple(environments)
        self.clock = Clock(QUEUE, INFERENCE, ENVIRONMENT)
        self._index = index
        self._programs = programs
        self._pipeline = pipeline
        self._device = device
        self._learner_devices = tuple(learner_devices)
        self._first_update = first_update
        self._cores = cores
        self._rows = programs.sebulba.rows[index]
        self._device_rows = jax.device_put(self._rows, device)
        self._timesteps: list[dm_env.TimeStep] = []
        self._states: list[ActorState] = []
        self._returns = [EpisodeReturns(environment.num_environments) for environment in self.environments]

    def prepare(self, state: OuterState) -> None:
        """Starts the first lifetimes and compiles the programs; before the thread starts.

        Args:
          state: the outer loop's state, on the actor's device.
        """
        with kept_to(self._cores):  # so are the threads of a pool, which its first reset starts
            self._prepare(state)

    def run(self) -> None:
        """The thread."""
        try:
            keep_to(self._cores)
            self._act()
        except BaseException as error:  # no thread dies unseen
            self._pipeline.fail(f"{self.name} ({', '.join(each.name for each in self.environments)})", error)

    def stuck_for(self) -> float:
        """Seconds for which it has been waiting for an environment to answer."""
        return self.clock.running_for(ENVIRONMENT)

    def _prepare(self, state: OuterState) -> None:
        meta_params, keys, seeds = self._programs.behave(state, self._first_update, self._device_rows)
        rehearsed = []
        for entry, environment, entry_keys, entry_seeds in zip(
            self._programs.entries, self.environments, keys, seeds, strict=True
        ):
            every = np.ones(environment.num_environments, bool)
            timestep = environment.reset(every, np.asarray(entry_seeds))
            rehearsal, learner_state = entry.begin(
                meta_params, entry.init(meta_params, entry_keys, timestep), entry_keys, every
            )
            rehearsal, _ = entry.act(meta_params, rehearsal, timestep)
            rehearsed.append((rehearsal, learner_state, timestep, every))
            self._timesteps.append(timestep)
            self._states.append(entry.init(meta_params, entry_keys, timestep))
        jax.block_until_ready(self._programs.finish(*map(tuple, zip(*rehearsed, strict=True))))

    def _act(self) -> None:
        update = self._first_update
        while True:
            with self.clock.spending(QUEUE):
                published = self._pipeline.newest(self._device, update)
            if published is None:
                return
            self._pipeline.hand_over(self._index, self._unroll(published, update))
            update += 1

    def _unroll(self, published: Published, update: int) -> Unroll:
        """Every lifetime of every entry lives on for the unroll of an update."""
        with self.clock.spending(INFERENCE):
            meta_params, keys, seeds = self._programs.behave(published.state, update, self._device_rows)
        starts = self._starts(update)
        learner_states = []
        for index in range(len(self.environments)):
            if starts[index].any():
                with self.clock.spending(INFERENCE):
                    entry_seeds = np.asarray(seeds[index])
                with self.clock.spending(ENVIRONMENT):
                    self._timesteps[index] = self.environments[index].reset(starts[index], entry_seeds)
                self._returns[index].restart(starts[index])
            learner_states.append(self._live_on(index, meta_params, keys[index], starts[index]))
        with self.clock.spending(INFERENCE):
            shards = self._programs.finish(
                tuple(self._states), tuple(learner_states), tuple(self._timesteps), self._starts(update + 1)
            )
            placed = zip(shards, self._learner_devices, strict=True)
            shards = tuple(jax.device_put(shard, device) for shard, device in placed)
        returns = [value for of_entry in self._returns for value in of_entry.take()]
        return Unroll(published.version, shards, returns)

    def _live_on(self, index: int, meta_params: Any, keys: jax.Array, starts: Bool[np.ndarray, "num"]) -> LearnerState:
        """One entry's lifetimes live on for an unroll; returns the learner states they began it with."""
        entry, environment, returns = self._programs.entries[index], self.environments[index], self._returns[index]
        state, timestep = self._states[index], self._timesteps[index]
        lived: list[dm_env.TimeStep] = []
        with self.clock.spending(INFERENCE):
            state, learner_state = entry.begin(meta_params, state, keys, starts)
        for _ in range(self._programs.sebulba.entry_actors[index].unroll_length):
            with self.clock.spending(INFERENCE):
                state, device_actions = entry.act(meta_params, state, timestep)
                actions: Int[np.ndarray, num] | Float[np.ndarray, "num num_actions"] = np.asarray(device_actions)
            with self.clock.spending(ENVIRONMENT):
                timestep = environment.step(actions)
            lived.append(timestep)
        returns.add(lived)
        self._states[index], self._timesteps[index] = state, timestep
        return learner_state

    def _starts(self, update: int) -> tuple[Bool[np.ndarray, "_"], ...]:
        """By entry, where a lifetime begins with an update. With an actor's first update, all do."""
        if update == self._first_update:
            return tuple(np.ones(environment.num_environments, bool) for environment in self.environments)
        return self._programs.sebulba.starts(update, self._rows)
