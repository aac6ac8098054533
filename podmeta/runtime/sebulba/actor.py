"""One actor: a thread that lets its rows live, on its own batches of host environments and one actor device."""

import threading
from collections.abc import Sequence, Set

import jax
import numpy as np
from jaxtyping import Bool

from podmeta.environments.host.base import HostEnvironment
from podmeta.outer.base import OuterState
from podmeta.runtime.sebulba.clock import Clock
from podmeta.runtime.sebulba.cores import keep_to, kept_to
from podmeta.runtime.sebulba.lives import ENVIRONMENT, INFERENCE, QUEUE, Lives
from podmeta.runtime.sebulba.pipeline import Pipeline, Published, Unroll
from podmeta.runtime.sebulba.programs import ActorPrograms


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
        by_entry = zip(programs.entries, programs.sebulba.entry_actors, self.environments, strict=True)
        self._lives = [Lives(*of_entry, self.clock) for of_entry in by_entry]

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
        rehearsed = [
            lives.prepare(
                meta_params,
                keys[index],
                np.asarray(seeds[index]),
                device=self._device,
                apart=self._start_apart(index),
            )
            for index, lives in enumerate(self._lives)
        ]
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
        for index, lives in enumerate(self._lives):
            if starts[index].any() and update > self._first_update:  # before the first, `prepare` has started them
                with self.clock.spending(INFERENCE):
                    entry_seeds = np.asarray(seeds[index])
                lives.restart(starts[index], entry_seeds)
            learner_states.append(
                lives.live_on(meta_params, keys[index], starts[index], lambda: self._pipeline.stopped)
            )
        with self.clock.spending(INFERENCE):
            shards, rewards = self._programs.finish(
                tuple(lives.state for lives in self._lives),
                tuple(learner_states),
                tuple(lives.timestep for lives in self._lives),
                self._starts(update + 1),
            )
            placed = zip(shards, self._learner_devices, strict=True)
            # To ask for a shard to be where it is costs as much as to make it.
            shards = tuple(
                shard if device == self._device else jax.device_put(shard, device) for shard, device in placed
            )
        returns: list[float] = []
        for lives, (entry_rewards, episode_ends) in zip(self._lives, rewards, strict=True):
            lives.returns.add(np.asarray(entry_rewards), np.asarray(episode_ends))
            returns += lives.returns.take()
        return Unroll(published.version, shards, returns)

    def _starts(self, update: int) -> tuple[Bool[np.ndarray, "_"], ...]:
        """By entry, where a lifetime begins with an update. With an actor's first update, all do."""
        if update == self._first_update:
            return tuple(np.ones(environment.num_environments, bool) for environment in self.environments)
        return self._programs.sebulba.starts(update, self._rows)

    def _start_apart(self, index: int) -> bool:
        """Whether an entry's lifetimes never start all at once after the first update."""
        entry_actor = self._programs.sebulba.entry_actors[index]
        unrolls = entry_actor.entry.inner_loop.lifetime_length // entry_actor.unroll_length
        return not any(self._programs.sebulba.starts(update, self._rows)[index].all() for update in range(unrolls))
