"""Writes `heartbeat.json`, by which others see how far a job is and why it stopped."""

import contextlib
import json
import time
from collections.abc import Callable

from podmeta.errors import PodmetaError
from podmeta.storage.files import write_atomically
from podmeta.storage.json_files import encode
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import HEARTBEAT, Heartbeat

SECONDS_BETWEEN_BEATS = 5.0
_MAX_REASON = 500  # characters


class HeartbeatWriter:
    """The heartbeat of one start of a job.

    It is written by the training loop, so it stops when training does. A file that cannot be written is no reason to
    stop training: nothing is raised.
    """

    def __init__(
        self,
        run_directory: RunDirectory,
        num_updates: int,
        began: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is written before `begin`: a start may have nothing to train.

        Args:
          run_directory: the run directory, held by this process.
          num_updates: of the job.
          began: when the command began, in Unix time.
          now: the time.
        """
        self._run_directory = run_directory
        self._now = now
        self._last = Heartbeat("starting", 0.0, began, run_directory.holder, 0, num_updates)
        self._has_begun = False

    def begin(self, update: int) -> None:
        """Says that the job is starting, from this update."""
        self._has_begun = True
        self._write("starting", update, None, "")

    def beat(self, update: int, env_steps_per_second: float) -> None:
        """Says that the job trains, unless it has done so a moment ago."""
        if self._last.state == "starting" or self._now() - self._last.time >= SECONDS_BETWEEN_BEATS:
            self._write("running", update, env_steps_per_second, "")

    def end(self, state: str, update: int, reason: str) -> None:
        """Says how and why this start ends."""
        self._write(state, update, self._last.env_steps_per_second, reason[:_MAX_REASON])

    def _write(self, state: str, update: int, env_steps_per_second: float | None, reason: str) -> None:
        if not self._has_begun or self._run_directory.current_path() != self._run_directory.path:
            return
        last = self._last
        self._last = Heartbeat(
            state, self._now(), last.began, last.holder, update, last.num_updates, env_steps_per_second, reason
        )
        content = json.dumps(encode(self._last)) + "\n"
        with contextlib.suppress(PodmetaError):
            write_atomically(self._run_directory.path / HEARTBEAT, content, flush=False)
