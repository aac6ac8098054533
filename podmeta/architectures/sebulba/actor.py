"""One actor: a thread that rolls out its slots in its own batches of host environments, on one actor device."""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import dm_env
import jax
import numpy as np
from jaxtyping import Bool

from podmeta.architectures.sebulba.actor_programs import ActorPrograms
from podmeta.architectures.sebulba.actor_rollout import ActorRollout
from podmeta.architectures.sebulba.clock import ENVIRONMENT, INFERENCE, QUEUE, Clock
from podmeta.architectures.sebulba.cpu_tuning.compiled_unroll import CompiledUnroll, compile_unroll
from podmeta.architectures.sebulba.cpu_tuning.cores import SharedCores
from podmeta.architectures.sebulba.entry_actor import ActorState
from podmeta.architectures.sebulba.pipeline import Pipeline, Published, Unroll
from podmeta.environments.host.base import HostEnvironment
from podmeta.exits import AbandonableThread
from podmeta.learners.base import LearnerState, MetaParams

Starts = tuple[Bool[np.ndarray, "_"], ...]  # by entry, in which lifetimes one begins


class Place(NamedTuple):
    """The devices and cores of an actor.

    Attributes:
      device: on which it infers actions.
      learner_devices: the learner devices of this process, one for each shard.
      cores: the division of the CPU's cores among actors and learner.
    """

    device: jax.Device
    learner_devices: Sequence[jax.Device]
    cores: SharedCores


class Actor(AbandonableThread):
    """Makes its environments, and rolls out its slots for one update after another, until the pipeline is stopped.

    It launches no collectives: their order must be the same everywhere, so only the learner launches them. It reports
    errors to the pipeline.

    Attributes:
      environments: by entry, for this thread only; none before they are made.
      is_prepared: set once its first lifetimes have started and its programs are compiled.
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
          index: its number among the process's actors.
          programs: those of all actors.
          make_environments: makes its environments, by entry.
          pipeline: provides θ and takes unrolls.
          place: its devices and cores.
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

    def run(self) -> None:
        """The main function of the thread."""
        try:
            self._place.cores.keep_actor(self._index)  # so are the threads of a pool, which its first reset starts
            rollouts = self.prepare()
            self.is_prepared.set()
            self.act(rollouts)
        except BaseException as error:  # no thread dies unseen
            self._pipeline.fail(self.description, error)

    @property
    def description(self) -> str:
        """Its name, and those of its environments once they are made."""
        names = ", ".join(environment.name for environment in self.environments)
        return f"{self.name} ({names})" if names else self.name

    def stuck_for(self) -> float:
        """Seconds that it has been waiting for an environment to answer."""
        return self.clock.running_for(ENVIRONMENT)

    def act(self, rollouts: Sequence[ActorRollout]) -> None:
        """Infers, steps and appends until the unroll of an update is complete, hands it over, and begins the next."""
        for update in itertools.count(self._first.version):
            with self.clock.spending(QUEUE):
                published = self._pipeline.newest(self._place.device, update)
            if published is None:
                return
            meta_params, learner_states, num_cut_off = self._begin(rollouts, published, update)
            for rollout in rollouts:
                while rollout.position < rollout.unroll_length and not self._pipeline.stopped:
                    if rollout.compiled_unroll is not None:  # the same in one program, which counts its time itself
                        rollout.run_compiled_unroll(rollout.compiled_unroll, meta_params)
                        continue
                    with self.clock.spending(INFERENCE):
                        actions = rollout.infer_and_append(meta_params)
                    with self.clock.spending(ENVIRONMENT):
                        rollout.step(actions)
            if self._pipeline.stopped:
                return
            shards, returns = self._finish(rollouts, learner_states, update)
            self._pipeline.hand_over(self._index, Unroll(published.version, shards, returns, num_cut_off))

    def prepare(self) -> list[ActorRollout]:
        """Makes the environments, starts the first lifetimes, and compiles the programs. Returns the rollouts."""
        programs, update = self._programs, self._first.version
        with self.clock.spending(ENVIRONMENT):
            self.environments = tuple(self._make_environments())
        meta_params, keys, seeds = programs.actor_params(self._first.state, update, self._device_slots)
        with self.clock.spending(ENVIRONMENT):
            timesteps = tuple(
                environment.reset(np.ones(environment.num_environments, bool), np.asarray(of_entry))
                for environment, of_entry in zip(self.environments, seeds, strict=True)
            )

        def initial_states() -> tuple[ActorState, ...]:
            by_entry = zip(programs.entries, keys, timesteps, strict=True)
            return tuple(entry.init(meta_params, *arguments) for entry, *arguments in by_entry)

        def begun() -> tuple[tuple[ActorState, ...], tuple[LearnerState, ...]]:
            starts = self._starts(update)
            return programs.begin(self._first.state, update, self._device_slots, initial_states(), starts)[2:]

        # Every program runs once, on states that are given up, with arguments placed as in all later calls: JAX would
        # compile anew for others, and that would count as the environments' silence.
        states, learner_states = begun()
        compiled_unrolls = self._compiled_unrolls(meta_params, begun()[0], timesteps)
        warmed_up = tuple(
            entry.act(meta_params, state, timestep)[0] if compiled_unroll is None else state
            for entry, state, timestep, compiled_unroll in zip(
                programs.entries, states, timesteps, compiled_unrolls, strict=True
            )
        )
        last_timesteps = tuple(
            timestep if compiled_unroll is None else compiled_unroll.placed(timestep)
            for timestep, compiled_unroll in zip(timesteps, compiled_unrolls, strict=True)
        )
        first_steps = programs.sebulba.first_steps(update, self._slots)
        jax.block_until_ready(programs.finish(warmed_up, learner_states, last_timesteps, first_steps))
        by_entry = zip(programs.entries, self.environments, initial_states(), timesteps, compiled_unrolls, strict=True)
        return [ActorRollout(*of_entry) for of_entry in by_entry]

    def _begin(
        self, rollouts: Sequence[ActorRollout], published: Published, update: int
    ) -> tuple[MetaParams, tuple[LearnerState, ...], int]:
        """Begins an unroll of every entry.

        Returns:
          The θ that acts, the learner states by entry, and the number of episodes that new lifetimes cut off.
        """
        starts = self._starts(update)
        with self.clock.spending(INFERENCE):
            meta_params, seeds, states, learner_states = self._programs.begin(
                published.state, update, self._device_slots, tuple(rollout.state for rollout in rollouts), starts
            )
        num_cut_off = 0
        for rollout, state, entry_starts, entry_seeds in zip(rollouts, states, starts, seeds, strict=True):
            rollout.begin(state)
            if entry_starts.any() and update > self._first.version:  # before the first, `prepare` has started them
                with self.clock.spending(ENVIRONMENT):
                    num_cut_off += rollout.restart(entry_starts, np.asarray(entry_seeds))
        return meta_params, learner_states, num_cut_off

    def _finish(
        self, rollouts: Sequence[ActorRollout], learner_states: tuple[LearnerState, ...], update: int
    ) -> tuple[tuple[Any, ...], list[float]]:
        """By learner device, the shards of an unroll; and the returns of the episodes that ended in it."""
        with self.clock.spending(INFERENCE):
            shards, rewards = self._programs.finish(
                tuple(rollout.state for rollout in rollouts),
                learner_states,
                tuple(rollout.timestep for rollout in rollouts),
                self._programs.sebulba.first_steps(update, self._slots),
            )
            placed = zip(shards, self._place.learner_devices, strict=True)
            # To ask for a shard to be where it is costs as much as to make it.
            shards = tuple(
                shard if device == self._place.device else jax.device_put(shard, device) for shard, device in placed
            )
        returns: list[float] = []
        for rollout, (entry_rewards, episode_ends) in zip(rollouts, rewards, strict=True):
            returns += rollout.returns.add(np.asarray(entry_rewards), np.asarray(episode_ends))
        return shards, returns

    def _starts(self, update: int) -> Starts:
        """By entry, which lifetimes begin with an update. In an actor's first update, all do."""
        if update == self._first.version:
            return tuple(np.ones(environment.num_environments, bool) for environment in self.environments)
        return tuple(steps == 0 for steps in self._programs.sebulba.first_steps(update, self._slots))

    def _compiled_unrolls(
        self, meta_params: MetaParams, states: tuple[ActorState, ...], timesteps: tuple[dm_env.TimeStep, ...]
    ) -> tuple[CompiledUnroll | None, ...]:
        """By entry, the program that steps its environments; None if there can be none. The states are donated."""
        by_entry = zip(
            self._programs.entries,
            self.environments,
            self._programs.sebulba.is_staggered(self._slots),
            states,
            timesteps,
            strict=True,
        )
        return tuple(
            compile_unroll(
                entry, environment, self._place.device, is_staggered, self.clock, (meta_params, state, timestep)
            )
            for entry, environment, is_staggered, state, timestep in by_entry
        )
