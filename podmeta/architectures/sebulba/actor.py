"""One actor: a thread that rolls out its slots, on its own batches of host environments and one actor device."""

import threading
from collections.abc import Callable, Sequence, Set
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from podmeta.architectures.sebulba.actor_programs import ActorPrograms
from podmeta.architectures.sebulba.actor_rollout import ENVIRONMENT, INFERENCE, QUEUE, ActorRollout
from podmeta.architectures.sebulba.clock import Clock
from podmeta.architectures.sebulba.cores import keep_to
from podmeta.architectures.sebulba.entry_actor import ActorState
from podmeta.architectures.sebulba.pipeline import Pipeline, Published, Unroll
from podmeta.distributed.shutdown import AbandonableThread
from podmeta.environments.host.base import HostEnvironment

Starts = tuple[Bool[np.ndarray, "_"], ...]  # by entry, in which lifetimes one begins


class Place(NamedTuple):
    """Where an actor acts, and where what it hands over goes.

    Attributes:
      device: its own.
      learner_devices: of this process, one for each shard.
      cores: the CPU's cores that its thread is kept to, and the threads that its environments start.
    """

    device: jax.Device
    learner_devices: Sequence[jax.Device]
    cores: Set[int]


class Actor(AbandonableThread):
    """Makes its environments, and rolls out its slots for one update after another, until the pipeline says stop.

    It reaches no collective: the order of those must be the same everywhere, so that only the learner launches any.
    Its errors go to the pipeline.

    Attributes:
      environments: by entry, which this thread alone uses; none before they are made.
      is_prepared: set when its first lifetimes have started, and its programs are compiled.
      clock: the seconds it has spent on QUEUE, INFERENCE and ENVIRONMENT.
    """

    def __init__(
        self,
        index: int,
        programs: ActorPrograms,
        make_environments: Callable[[], Sequence[HostEnvironment]],
        pipeline: Pipeline,
        place: Place,
        first: Published,
    ) -> None:
        """Starts nothing yet.

        Args:
          index: which of the process's actors it is.
          programs: those of all actors.
          make_environments: makes its environments, by entry.
          pipeline: where θ comes from and unrolls go to.
          place: where it is.
          first: the state with which it is prepared.
        """
        super().__init__(f"actor {index}")
        self.environments: tuple[HostEnvironment, ...] = ()
        self.is_prepared = threading.Event()
        self.clock = Clock(QUEUE, INFERENCE, ENVIRONMENT)
        self._index = index
        self._programs = programs
        self._make_environments = make_environments
        self._pipeline = pipeline
        self._place = place
        self._first = first
        self._slots = programs.sebulba.slots[index]
        self._device_slots = jax.device_put(self._slots, place.device)
        self._rollouts: list[ActorRollout] = []

    def run(self) -> None:
        """The thread."""
        try:
            keep_to(self._place.cores)  # so are the threads of a pool, which its first reset starts
            self.prepare()
            self.is_prepared.set()
            self._act()
        except BaseException as error:  # no thread dies unseen
            self._pipeline.fail(self.description, error)

    @property
    def description(self) -> str:
        """Its name, and those of its environments once they are made."""
        names = ", ".join(environment.name for environment in self.environments)
        return f"{self.name} ({names})" if names else self.name

    def stuck_for(self) -> float:
        """Seconds for which it has been waiting for an environment to answer."""
        return self.clock.running_for(ENVIRONMENT)

    def prepare(self) -> None:
        """Makes the environments, starts the first lifetimes, and compiles the programs."""
        with self.clock.spending(ENVIRONMENT):
            self.environments = tuple(self._make_environments())
        by_entry = zip(self._programs.entries, self._programs.sebulba.entry_actors, self.environments, strict=True)
        self._rollouts = [ActorRollout(*of_entry, self.clock) for of_entry in by_entry]
        meta_params, keys, seeds = self._programs.actor_params(
            self._first.state, self._first.version, self._device_slots
        )
        starting = zip(self._rollouts, keys, seeds, strict=True)
        states = tuple(rollout.start(meta_params, keys, np.asarray(seeds)) for rollout, keys, seeds in starting)
        _, _, states, learner_states = self._begin(
            self._first, self._first.version, states, self._starts(self._first.version)
        )
        warmed_up = tuple(
            rollout.warm_up(meta_params, states[index], device=self._place.device, staggered=self._is_staggered(index))
            for index, rollout in enumerate(self._rollouts)
        )
        jax.block_until_ready(self._finish(warmed_up, learner_states, self._first.version))

    def _act(self) -> None:
        update = self._first.version
        while True:
            with self.clock.spending(QUEUE):
                published = self._pipeline.newest(self._place.device, update)
            if published is None:
                return
            self._pipeline.hand_over(self._index, self._unroll(published, update))
            update += 1

    def _unroll(self, published: Published, update: int) -> Unroll:
        """Unrolls every lifetime of every entry for one update."""
        starts = self._starts(update)
        with self.clock.spending(INFERENCE):
            states = tuple(rollout.state for rollout in self._rollouts)
            meta_params, seeds, states, learner_states = self._begin(published, update, states, starts)
        num_cut_off = 0
        for rollout, state, entry_starts, entry_seeds in zip(self._rollouts, states, starts, seeds, strict=True):
            rollout.state = state
            if entry_starts.any() and update > self._first.version:  # before the first, `prepare` has started them
                num_cut_off += rollout.restart(entry_starts, np.asarray(entry_seeds))
            rollout.unroll(meta_params, lambda: self._pipeline.stopped)
        with self.clock.spending(INFERENCE):
            states = tuple(rollout.state for rollout in self._rollouts)
            shards, rewards = self._finish(states, learner_states, update)
            placed = zip(shards, self._place.learner_devices, strict=True)
            # To ask for a shard to be where it is costs as much as to make it.
            shards = tuple(
                shard if device == self._place.device else jax.device_put(shard, device) for shard, device in placed
            )
        returns: list[float] = []
        for rollout, (entry_rewards, episode_ends) in zip(self._rollouts, rewards, strict=True):
            returns += rollout.returns.add(np.asarray(entry_rewards), np.asarray(episode_ends))
        return Unroll(published.version, shards, returns, num_cut_off)

    def _begin(self, published: Published, update: int, states: tuple[ActorState, ...], starts: Starts) -> tuple:
        """The program `begin`, which the states are given up to."""
        return self._programs.begin(published.state, update, self._device_slots, states, starts)

    def _finish(self, states: tuple[ActorState, ...], learner_states: tuple, update: int) -> tuple:
        """The program `finish`, of the lifetimes as they are after the unroll of an update."""
        timesteps = tuple(rollout.timestep for rollout in self._rollouts)
        first_steps = self._programs.sebulba.first_steps(update, self._slots)
        return self._programs.finish(states, learner_states, timesteps, first_steps)

    def _starts(self, update: int) -> Starts:
        """By entry, where a lifetime begins with an update. With an actor's first update, all do."""
        if update == self._first.version:
            return tuple(np.ones(environment.num_environments, bool) for environment in self.environments)
        return tuple(steps == 0 for steps in self._programs.sebulba.first_steps(update, self._slots))

    def _is_staggered(self, index: int) -> bool:
        """Whether an entry's lifetimes never start all at once after the first update."""
        num_unrolls = self._programs.sebulba.outer_loop.unrolls_per_lifetime[index]
        by_update = [self._programs.sebulba.first_steps(update, self._slots)[index] for update in range(num_unrolls)]
        return all(steps.any() for steps in by_update)
