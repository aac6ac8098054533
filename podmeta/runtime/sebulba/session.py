"""A stage on Sebulba: the learner, and the life of its actors.

The learner runs in the thread that calls `advance`. It alone launches updates, and with them every collective: two
threads that launch collectives in different orders exchange each other's values without a word.
"""

import contextlib
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.architectures.sebulba import Sebulba
from podmeta.config.schema import SebulbaConfig
from podmeta.environments.host.base import HostEnvironment
from podmeta.errors import PodmetaError, SessionError
from podmeta.outer.base import OuterState
from podmeta.runtime.devices import join_shards, map_over_devices, replicate, unreplicate, unreplicate_on_device
from podmeta.runtime.distributed import is_about_a_loss
from podmeta.runtime.sebulba.actor import Actor
from podmeta.runtime.sebulba.advice import advise
from podmeta.runtime.sebulba.clock import Clock
from podmeta.runtime.sebulba.cores import available_cores, cores_of_actors, cores_of_others, move_threads
from podmeta.runtime.sebulba.layout import Layout
from podmeta.runtime.sebulba.lives import ENVIRONMENT, INFERENCE, QUEUE
from podmeta.runtime.sebulba.pipeline import Fault, Pipeline, Unroll
from podmeta.runtime.sebulba.programs import make_actor_programs
from podmeta.runtime.session import Advance

DATA, UPDATE = "data", "update"  # what a learner spends its time on: waiting for data, and updating
EPISODES_AVERAGED = 100
_LOOK_EVERY_S = 0.2  # how often a waiting learner looks whether it is to stop
_JOIN_TIMEOUT_S = 5.0


class _Shares(NamedTuple):
    """Seconds spent so far, by the learner and by all actors together."""

    learner: dict[str, float]
    actors: dict[str, float]


class SebulbaSession:
    """A stage on Sebulba, a `Session`."""

    def __init__(
        self,
        sebulba: Sebulba,
        config: SebulbaConfig,
        layout: Layout,
        state: TrainingState,
        make_environments: Callable[[], Sequence[HostEnvironment]],
    ) -> None:
        """Makes environments, compiles what actors run, and starts them.

        Args:
          sebulba: the programs.
          config: threads, lag and timeout.
          layout: which devices learn and which act.
          state: the state to go on from.
          make_environments: makes the environments of one actor, by entry.

        Raises:
          InputError: an environment cannot be made.
        """
        self.compile_seconds = 0.0
        self._config = config
        self._layout = layout
        self._update = map_over_devices(sebulba.update, DEVICE_AXIS, layout.num_learner_devices, donate=False)
        self._compiled_update: Callable | None = None
        self._actor_cores = cores_of_actors(layout.num_actors, config.actor_cores)
        self._all_cores, self._other_cores = available_cores(), cores_of_others(self._actor_cores)
        outer = jax.tree.map(lambda leaf: leaf[0], state.outer)
        self._device_state: OuterState = replicate(outer, DEVICE_AXIS, layout.num_learner_devices)
        self._version = int(outer.update)
        self._clock = Clock(DATA, UPDATE)
        self._failure: SessionError | None = None
        self._returns: deque[float] = deque(maxlen=EPISODES_AVERAGED)
        self._pipeline = Pipeline(layout.num_actors, 0 if sebulba.needs_newest else config.max_lag)
        self._actors: list[Actor] = []
        start = time.perf_counter()
        try:
            self._start_actors(sebulba, make_environments)
        except BaseException:
            self.close()
            raise
        self.compile_seconds += time.perf_counter() - start
        self._publish()

    def advance(self, num_updates: int, stop_requested: Callable[[], bool]) -> Advance:
        """Does `num_updates` updates, or fewer where a stop is requested while actors are at work.

        Where something fails between two of them, those before it are returned, and the next call raises.

        Raises:
          SessionError: an actor or the learner has failed, or an environment does not answer.
        """
        if self._failure is not None:
            raise self._failure
        start, compiled_before, before = time.perf_counter(), self.compile_seconds, self._shares()
        rows: list[dict[str, np.ndarray | np.floating]] = []
        lags: list[int] = []
        depths: list[int] = []
        while len(rows) < num_updates:
            try:
                with self._clock.spending(DATA):
                    unrolls = self._collect(stop_requested)
                if unrolls is None:
                    break
                depths.append(self._pipeline.depth())
                lags += [self._version - unroll.version for unroll in unrolls]
                rows.append(self._learn(unrolls))
            except Exception as error:
                self._failure = _as_session_error("learner", error)
                if not rows:
                    raise self._failure from error
                break
        seconds = time.perf_counter() - start - (self.compile_seconds - compiled_before)
        if not rows:
            return Advance(0, {}, {}, seconds)
        metrics = {name: np.stack([row[name] for row in rows])[:, None] for name in rows[0]}
        return Advance(len(rows), metrics, self._told(len(rows), seconds, before, lags, depths), seconds)

    def state(self) -> TrainingState:
        """The state on the host. What is under way in environments is not in it."""
        return TrainingState(jax.tree.map(lambda leaf: leaf[None], unreplicate(self._device_state)), ())

    def close(self) -> str | None:
        """Ends all threads and environments, however they are; says where the time went."""
        self._pipeline.stop()
        deadline = time.monotonic() + _JOIN_TIMEOUT_S
        for actor in self._actors:
            if actor.is_alive() and actor.stuck_for() < self._config.actor_timeout_s:
                actor.join(max(0.0, deadline - time.monotonic()))
        closers = [
            threading.Thread(target=_close_all, args=(actor.environments,), daemon=True) for actor in self._actors
        ]
        for closer in closers:
            closer.start()
        deadline = time.monotonic() + _JOIN_TIMEOUT_S
        for closer in closers:
            closer.join(max(0.0, deadline - time.monotonic()))
        move_threads(self._other_cores, self._all_cores)
        shares = self._shares()
        return advise(shares.actors, shares.learner) if shares.learner[UPDATE] > 0 else None

    def _start_actors(self, sebulba: Sebulba, make_environments: Callable[[], Sequence[HostEnvironment]]) -> None:
        programs = make_actor_programs(sebulba)
        learner_devices = self._layout.learner_devices()
        states = self._on_actor_devices()
        for index, device in enumerate(self._layout.device_of_actors()):
            actor = Actor(
                index,
                programs,
                make_environments(),
                self._pipeline,
                device,
                learner_devices,
                self._version,
                self._actor_cores[index],
            )
            self._actors.append(actor)
            actor.prepare(states[device])
        for actor in self._actors:
            actor.start()

    def _collect(self, stop_requested: Callable[[], bool]) -> list[Unroll] | None:
        """The unrolls of one update; None where a stop is requested first."""
        while not stop_requested():
            collected = self._pipeline.collect(_LOOK_EVERY_S)
            if isinstance(collected, Fault):
                raise _as_session_error(*collected) from collected.error
            if collected is not None:
                return collected
            for actor in self._actors:
                if actor.stuck_for() > self._config.actor_timeout_s:
                    names = ", ".join(environment.name for environment in actor.environments)
                    raise SessionError(
                        f"{actor.name} ({names}): the environment has not answered for "
                        f"architecture.actor_timeout_s={self._config.actor_timeout_s:g} s"
                    )
        return None

    def _learn(self, unrolls: Sequence[Unroll]) -> dict[str, np.ndarray | np.floating]:
        """One update, and θ to the actors; returns the update's metrics."""
        for unroll in unrolls:
            self._returns.extend(unroll.episode_returns)
        by_actor = tuple(join_shards(unroll.shards, DEVICE_AXIS) for unroll in unrolls)
        if self._compiled_update is None:
            start = time.perf_counter()
            self._compiled_update = self._update.lower(self._device_state, by_actor).compile()
            self.compile_seconds += time.perf_counter() - start
            # Only now, for compiling uses all cores; from here on the learner's threads would take those of actors.
            move_threads(self._all_cores, self._other_cores)
        with self._clock.spending(UPDATE):
            self._device_state, metrics = jax.block_until_ready(self._compiled_update(self._device_state, by_actor))
        self._version += 1
        self._publish()
        return unreplicate(metrics)

    def _publish(self) -> None:
        self._pipeline.publish(self._version, self._on_actor_devices())

    def _on_actor_devices(self) -> dict[jax.Device, OuterState]:
        # A copy, for the learner's own buffers belong to its next update.
        newest = unreplicate_on_device(self._device_state)
        # To ask for what is there already would cost as much again.
        first = self._layout.learner_devices()[0]
        return {
            device: newest if device == first else jax.device_put(newest, device)
            for device in self._layout.actor_devices()
        }

    def _shares(self) -> _Shares:
        actors = {
            activity: sum(actor.clock.seconds[activity] for actor in self._actors)
            for activity in (INFERENCE, ENVIRONMENT, QUEUE)
        }
        return _Shares(dict(self._clock.seconds), actors)

    def _told(
        self, num_updates: int, seconds: float, before: _Shares, lags: Sequence[int], depths: Sequence[int]
    ) -> dict[str, float]:
        """What the flow of data was like."""
        now = self._shares()
        values = {
            "updates_per_second": num_updates / seconds,
            "queue_depth": float(np.mean(depths)),
            "lag_mean": float(np.mean(lags)),
            "lag_max": float(np.max(lags)),
            "learner_data_share": _share(now.learner, before.learner, DATA),
        }
        for activity in (INFERENCE, ENVIRONMENT, QUEUE):
            values[f"actor_{activity}_share"] = _share(now.actors, before.actors, activity)
        # Not a number before any has ended: every process of a job must tell of the same things.
        values["episode_return_mean"] = float(np.mean(self._returns)) if self._returns else float("nan")
        return values


def _share(now: dict[str, float], before: dict[str, float], activity: str) -> float:
    spent = {name: now[name] - before[name] for name in now}
    total = sum(spent.values())
    return spent[activity] / total if total > 0 else 0.0


def _close_all(environments: Sequence[HostEnvironment]) -> None:
    for environment in environments:
        # An environment that has failed may fail again; what it failed of first has been told.
        with contextlib.suppress(Exception):
            environment.close()


def _as_session_error(where: str, error: BaseException) -> SessionError:
    """An error in words. One of ours says all there is to say; of any other, the traceback is shown."""
    if isinstance(error, SessionError):
        return error
    if is_about_a_loss(error):
        return SessionError("another process of this job has ended, and says why itself if it could")
    if isinstance(error, PodmetaError):
        return SessionError(f"{where}: {error}")
    return SessionError(f"{where}:\n{''.join(traceback.format_exception(error))}".rstrip())
