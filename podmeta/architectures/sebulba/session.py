"""A stage on Sebulba: starts and watches the actors and the learner.

The thread that calls `advance` does none of the work. It waits for the learner, and watches for events that end the
stage: a stop request, a failed actor, an environment that does not answer.
"""

import contextlib
import functools
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from podmeta.architectures.base import TrainingState
from podmeta.architectures.sebulba.actor import Actor, Place
from podmeta.architectures.sebulba.actor_programs import make_actor_programs
from podmeta.architectures.sebulba.bottleneck import advise
from podmeta.architectures.sebulba.clock import DATA, ENVIRONMENT, INFERENCE, QUEUE
from podmeta.architectures.sebulba.cpu_tuning.cores import SharedCores
from podmeta.architectures.sebulba.functions import Sebulba
from podmeta.architectures.sebulba.layout import Layout
from podmeta.architectures.sebulba.learner_thread import LearnerThread, UpdateRequest
from podmeta.architectures.sebulba.pipeline import Pipeline, Published
from podmeta.architectures.session import Advance
from podmeta.config.schema import SebulbaConfig
from podmeta.distributed.devices import unreplicate
from podmeta.distributed.initialise import is_about_a_loss
from podmeta.environments.host.base import HostEnvironment
from podmeta.errors import InputError, PodmetaError, SessionError
from podmeta.exits import AbandonableThread
from podmeta.operating_system import lack_of_cores

EPISODES_AVERAGED = 100
_FEWEST_UPDATES = 10  # of which the shares of time say something
_LOOK_EVERY_S = 0.2  # how often it is seen whether the stage is to end
_START_TIMEOUT_S = 60.0  # how long environments may take at least to be made, and to answer for the first time
# How long its end may take, by part; together less than 10 s.
_UPDATE_TIMEOUT_S = 3.0
_JOIN_TIMEOUT_S = 3.0
_CLOSE_TIMEOUT_S = 3.0


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
        """Starts nothing yet: the first call of `advance` does.

        Args:
          sebulba: the programs.
          config: threads, lag and timeout.
          layout: which devices learn and which act.
          state: the state to start from.
          make_environments: makes the environments of one actor, by entry.
        """
        self._config = config
        self._layout = layout
        self._sebulba = sebulba
        self._make_environments = make_environments
        self._cores = SharedCores(layout.num_actors, config.actor_cores)
        self._failure: SessionError | None = None
        self._left_an_update = False
        self._returns: deque[float] = deque(maxlen=EPISODES_AVERAGED)
        self._pipeline = Pipeline(layout.num_actors, 0 if sebulba.outer_loop.requires_on_policy else config.max_lag)
        outer = jax.tree.map(lambda leaf: leaf[0], state.outer)
        self._first_update = int(outer.update)
        self._learner = LearnerThread(sebulba, layout, outer, self._pipeline, self._cores, self._note_start)
        self._actors: list[Actor] = []
        self._seconds_to_start = 0.0
        self._num_updates = 0
        self._at_start: _Shares | None = None  # when all was compiled: before that, everybody waits for the compiler

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far, including the start of environments."""
        return self._seconds_to_start + self._learner.compile_seconds

    @property
    def preparation(self) -> str:
        """It starts actors and compiles."""
        actors = self._layout.num_actors
        sizes = " + ".join(f"{entry.num_lifetimes:,}" for entry in self._sebulba.entry_actors)
        in_turn = f"{actors} actors, one after the other, each" if actors > 1 else "an actor"
        return (
            f"starting {in_turn} with {sizes} environments, then compiling updates of "
            f"{self._sebulba.env_steps_per_update:,} env steps"
        )

    def advance(self, num_updates: int, stop_requested: Callable[[], bool]) -> Advance:
        """Does `num_updates` updates, or fewer if a stop is requested meanwhile. The first call starts all threads.

        An update in progress is then abandoned if it takes longer than some seconds, and θ stays as it was before it.
        If something fails between two updates, the updates before it are returned, and the next call raises.

        Raises:
          InputError: an environment cannot be made.
          SessionError: an actor or the learner has failed, or an environment does not answer.
        """
        if self._failure is not None:
            raise self._failure
        start, compiled_before, before = time.perf_counter(), self.compile_seconds, self._shares()
        is_first = self._at_start is None
        if not self._actors:
            self._start(stop_requested)
            self._seconds_to_start = time.perf_counter() - start
        request = self._learner.begin(num_updates)
        if not self._wait_for(request.ended, stop_requested):
            self._left_an_update = not request.ended.wait(_UPDATE_TIMEOUT_S)
        self._learner.leave()
        self._failure = self._failure or self._what_failed(request)
        if self._failure is not None and not request.rows:
            raise self._failure
        seconds = time.perf_counter() - start - (self.compile_seconds - compiled_before)
        if not request.rows:
            return Advance(0, {}, {}, seconds)
        self._returns.extend(request.episode_returns)
        self._num_updates += len(request.rows)
        if is_first and self._at_start is not None:
            before = self._at_start
        metrics = {name: np.stack([row[name] for row in request.rows])[:, None] for name in request.rows[0]}
        return Advance(len(request.rows), metrics, self._flow_metrics(request, seconds, before), seconds)

    def state(self) -> TrainingState:
        """The state on the host, without the state of environments."""
        return TrainingState(jax.tree.map(lambda leaf: leaf[None], unreplicate(self._learner.device_state)), ())

    def close(self) -> str | None:
        """Ends all threads and environments, in whatever state they are. Returns a line about where the time went."""
        self._pipeline.stop()
        self._learner.stop()
        deadline = time.monotonic() + _JOIN_TIMEOUT_S
        at_work = [actor for actor in self._actors if actor.stuck_for() < self._config.actor_timeout_s]
        for thread in (*at_work, *(() if self._left_an_update else (self._learner,))):
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        closers = [
            AbandonableThread(f"closer of {actor.name}", functools.partial(_close_all, actor.environments))
            for actor in self._actors
        ]
        for closer in closers:
            closer.start()
        deadline = time.monotonic() + _CLOSE_TIMEOUT_S
        for closer in closers:
            closer.join(max(0.0, deadline - time.monotonic()))
        self._cores.release_others()
        return self.advice()

    def advice(self) -> str | None:
        """One line about where the time went. None before ten updates, whose shares say too little."""
        if self._at_start is None or self._num_updates < _FEWEST_UPDATES:
            return None
        now, start = self._shares(), self._at_start
        return advise(_difference(now.actors, start.actors), _difference(now.learner, start.learner))

    def _start(self, stop_requested: Callable[[], bool]) -> None:
        """Starts the learner and then one actor after the other, because the first compiles the programs of all."""
        self._learner.start()
        programs = make_actor_programs(self._sebulba)
        states = self._learner.on_actor_devices()
        for index, device in enumerate(self._layout.device_of_actors()):
            place = Place(device, self._layout.learner_devices(), self._cores)
            first = Published(self._first_update, states[device])
            actor = Actor(index, programs, self._make_environments, self._pipeline, place, first)
            self._actors.append(actor)
            actor.start()
            if not self._wait_for(actor.is_prepared, stop_requested):
                if self._pipeline.fault is not None and isinstance(self._pipeline.fault.error, InputError):
                    raise self._pipeline.fault.error
                return
        self._learner.publish()

    def _wait_for(self, event: threading.Event, stop_requested: Callable[[], bool]) -> bool:
        """Waits for an event. False if the stage must end before it; all threads have then been asked to stop."""
        while not event.wait(_LOOK_EVERY_S):
            is_to_end = stop_requested() or self._pipeline.fault is not None
            stuck = None if is_to_end else self._stuck()
            if is_to_end or stuck is not None:
                self._failure = stuck
                self._pipeline.stop()
                return False
        return True

    def _stuck(self) -> SessionError | None:
        """The error message about an environment that does not answer."""
        for actor in self._actors:
            timeout_s, named = self._config.actor_timeout_s, "architecture.actor_timeout_s="
            if not actor.is_prepared.is_set() and timeout_s < _START_TIMEOUT_S:
                timeout_s, named = _START_TIMEOUT_S, ""
            if actor.stuck_for() > timeout_s:
                busy = lack_of_cores(len(self._actors))
                cure = "Use fewer architecture.actor_threads, or a larger architecture.actor_timeout_s"
                slow = f". It may only be slow: {busy}. {cure}" if busy else ""
                return SessionError(
                    f"{actor.description}: the environment has not answered for {named}{timeout_s:g} s{slow}"
                )
        return None

    def _what_failed(self, request: UpdateRequest) -> SessionError | None:
        """The error message of the first actor that failed, or else of the learner."""
        if self._pipeline.fault is not None:
            return _as_session_error(*self._pipeline.fault)
        return None if request.error is None else _as_session_error(self._learner.name, request.error)

    def _note_start(self) -> None:
        self._at_start = self._shares()

    def _shares(self) -> _Shares:
        spent = [actor.clock.spent() for actor in self._actors]
        actors = {
            activity: sum(of_actor[activity] for of_actor in spent) for activity in (INFERENCE, ENVIRONMENT, QUEUE)
        }
        return _Shares(self._learner.clock.spent(), actors)

    def _flow_metrics(self, request: UpdateRequest, seconds: float, before: _Shares) -> dict[str, float]:
        """The metrics of the data flow during a request."""
        now = self._shares()
        values = {
            "updates_per_second": len(request.rows) / seconds,
            "queue_depth": float(np.mean(request.depths)),
            "lag_mean": float(np.mean(request.lags)),
            "lag_max": float(np.max(request.lags)),
            "learner_data_share": _share(now.learner, before.learner, DATA),
        }
        for activity in (INFERENCE, ENVIRONMENT, QUEUE):
            values[f"actor_{activity}_share"] = _share(now.actors, before.actors, activity)
        # The mean leaves out what a lifetime cuts off, which long episodes are more likely to be.
        values["num_finished_episodes"] = float(len(request.episode_returns))
        values["num_cut_off_episodes"] = float(request.num_cut_off)
        # Not a number before any has ended: every process of a job must report the same metrics.
        values["episode_return_mean"] = float(np.mean(self._returns)) if self._returns else float("nan")
        return values


def _share(now: dict[str, float], before: dict[str, float], activity: str) -> float:
    spent = _difference(now, before)
    total = sum(spent.values())
    return spent[activity] / total if total > 0 else 0.0


def _difference(now: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: max(0.0, now[name] - before[name]) for name in now}


def _close_all(environments: Sequence[HostEnvironment]) -> None:
    for environment in environments:
        # An environment that has failed may fail again; its first error has been reported.
        with contextlib.suppress(Exception):
            environment.close()


def _as_session_error(where: str, error: BaseException) -> SessionError:
    """The session error for an error. For errors that are not podmeta's own, it includes the traceback."""
    if isinstance(error, SessionError):
        return error
    if is_about_a_loss(error):
        return SessionError("another process of this job has ended, and has printed why if it could")
    if isinstance(error, PodmetaError):
        return SessionError(f"{where}: {error}")
    return SessionError(f"{where}:\n{''.join(traceback.format_exception(error))}".rstrip())
