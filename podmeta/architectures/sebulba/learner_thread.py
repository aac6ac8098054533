"""The learner: a thread that takes an unroll from every actor, updates θ, and publishes it to the actors.

Only this thread launches updates, and with them all collectives: if two threads launch collectives in different orders,
they silently exchange each other's values. It is a separate thread, so that the thread that waits for it can handle
signals and faults, and can abandon a long update: an XLA program cannot be interrupted.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.architectures.base import DEVICE_AXIS
from podmeta.architectures.sebulba.clock import DATA, UPDATE, Clock
from podmeta.architectures.sebulba.cpu_tuning.cores import SharedCores
from podmeta.architectures.sebulba.functions import Sebulba
from podmeta.architectures.sebulba.layout import Layout
from podmeta.architectures.sebulba.pipeline import Pipeline, Unroll
from podmeta.distributed.devices import join_shards, local_copy, map_over_devices, replicate, unreplicate
from podmeta.exits import AbandonableThread
from podmeta.outer.base import OuterState

MetricsRow = dict[str, np.ndarray | np.floating]  # of one update, by name


@dataclasses.dataclass
class UpdateRequest:
    """A request for updates. The learner thread adds results until the request ends or is abandoned.

    Attributes:
      num_updates: number of updates requested.
      rows: the metrics of the updates done.
      lags: by unroll used, updates between the θ that acted and the θ that learned.
      depths: by update, unrolls that were waiting besides those it used.
      episode_returns: of the episodes that ended in the unrolls.
      num_cut_off: episodes that lifetimes cut off, which have no return.
      error: the error of the update after them.
      ended: set when the learner is done with the request.
    """

    num_updates: int
    rows: list[MetricsRow] = dataclasses.field(default_factory=list)
    lags: list[int] = dataclasses.field(default_factory=list)
    depths: list[int] = dataclasses.field(default_factory=list)
    episode_returns: list[float] = dataclasses.field(default_factory=list)
    num_cut_off: int = 0
    error: BaseException | None = None
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)


class LearnerThread(AbandonableThread):
    """Serves one request for updates after another, until `stop`.

    Attributes:
      clock: the seconds it has spent on DATA and UPDATE.
      compile_seconds: the seconds it has spent compiling its update.
      device_state: the state after the last update, on the learner devices.
    """

    def __init__(
        self,
        sebulba: Sebulba,
        layout: Layout,
        outer: OuterState,
        pipeline: Pipeline,
        cores: SharedCores,
        on_compiled: Callable[[], None],
    ) -> None:
        """Puts the state on the learner devices.

        Args:
          sebulba: the programs.
          layout: which devices learn and which act.
          outer: the outer loop's state to start from, on the host.
          pipeline: provides unrolls and takes θ.
          cores: the CPU's cores, as the actors and the learner share them.
          on_compiled: called in the thread, once its update is compiled.
        """
        super().__init__("learner")
        self.clock = Clock(DATA, UPDATE)
        self.compile_seconds = 0.0
        self.device_state: OuterState = replicate(outer, DEVICE_AXIS, layout.num_learner_devices)
        # Nothing is donated: the state before an update that fails or is left must outlive it.
        self._update = map_over_devices(sebulba.update, DEVICE_AXIS, layout.num_learner_devices, donate=False)
        self._compiled_update: Callable[..., PyTree] | None = None
        self._actor_view = sebulba.outer_loop.actor_view
        self._layout = layout
        self._pipeline = pipeline
        self._version = int(outer.update)
        self._cores = cores
        self._on_compiled = on_compiled
        self._requests: queue.SimpleQueue[UpdateRequest | None] = queue.SimpleQueue()
        self._current: UpdateRequest | None = None
        self._committing = threading.Lock()

    def begin(self, num_updates: int) -> UpdateRequest:
        """Requests updates. The request ends early if an update fails, or if the pipeline is stopped or has a fault."""
        request = self._current = UpdateRequest(num_updates)
        self._requests.put(request)
        return request

    def leave(self) -> None:
        """Abandons the request: an update in progress has no effect."""
        with self._committing:
            self._current = None

    def stop(self) -> None:
        """Ends the thread once its request has ended."""
        self._requests.put(None)

    def publish(self) -> None:
        """Publishes the newest state to the actors."""
        self._pipeline.publish(self._version, self.on_actor_devices())

    def on_actor_devices(self) -> dict[jax.Device, OuterState]:
        """The actors' part of the newest state, [1, ...] on each actor device. A learner device has its own copy."""
        actor_view = self._actor_view(self.device_state)
        learner_devices = self._layout.learner_devices()
        return {
            device: local_copy(actor_view, learner_devices.index(device))
            if device in learner_devices
            else jax.device_put(local_copy(actor_view, 0), device)
            for device in self._layout.actor_devices()
        }

    def run(self) -> None:
        """The main function of the thread."""
        while (request := self._requests.get()) is not None:
            try:
                self._do(request)
            except BaseException as error:  # no thread dies unseen
                request.error = error
            request.ended.set()

    def _do(self, request: UpdateRequest) -> None:
        while len(request.rows) < request.num_updates:
            with self.clock.spending(DATA):
                unrolls = self._pipeline.collect()
            if unrolls is None:
                return
            depth = self._pipeline.depth()
            device_state, row = self._updated(unrolls)
            with self._committing:
                if self._current is not request:
                    return
                request.rows.append(row)
                request.depths.append(depth)
                for unroll in unrolls:
                    request.lags.append(self._version - unroll.version)
                    request.episode_returns.extend(unroll.episode_returns)
                    request.num_cut_off += unroll.num_cut_off
                self.device_state = device_state
                self._version += 1
            self.publish()

    def _updated(self, unrolls: Sequence[Unroll]) -> tuple[OuterState, MetricsRow]:
        """The state after one more update, and the update's metrics."""
        by_actor = tuple(join_shards(unroll.shards, DEVICE_AXIS) for unroll in unrolls)
        if self._compiled_update is None:
            start = time.perf_counter()
            self._compiled_update = self._update.lower(self.device_state, by_actor).compile()
            self.compile_seconds += time.perf_counter() - start
            # Only now, for compiling uses all cores; from here on the learner's threads would take those of actors.
            self._cores.keep_others()
            self._on_compiled()
        with self.clock.spending(UPDATE):
            device_state, metrics = jax.block_until_ready(self._compiled_update(self.device_state, by_actor))
        return device_state, unreplicate(metrics)
