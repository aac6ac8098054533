"""Profiles some updates of a job with JAX's profiler, into a trace for Perfetto and XProf."""

import secrets
from collections.abc import Callable
from pathlib import Path

import jax

from podmeta.config.profiled_updates import ProfiledUpdates
from podmeta.storage.files import explained_write_errors
from podmeta.storage.run_files import PROFILE


class Profiler:
    """Traces the calls to the devices that do any of the updates asked for, whole calls and once per start.

    Args:
      updates: which updates; None: none.
      run_path: the run directory.
      tell: shows the user a line.
    """

    def __init__(self, updates: ProfiledUpdates | None, run_path: Path, tell: Callable[[str], None]) -> None:
        self._updates = updates
        self._folder = run_path / PROFILE
        self._tell = tell
        self._path: Path | None = None
        self._began_at = 0

    def before_call(self, update: int, num_updates: int) -> None:
        """Starts the trace, if the next call does any of the updates.

        Args:
          update: updates done.
          num_updates: updates of the call.

        Raises:
          PodmetaError: the folder cannot be made.
        """
        if self._updates is None or self._path is not None:
            return
        if update < self._updates.last and update + num_updates > self._updates.after:
            self._path = self._folder / f"from_{update}_{secrets.token_hex(4)}"  # no link can wait under it
            self._began_at = update
            with explained_write_errors(self._path):
                self._folder.mkdir(exist_ok=True)
                self._path.mkdir()
            jax.profiler.start_trace(self._path, create_perfetto_trace=True)

    def after_call(self, update: int) -> None:
        """Ends the trace, if all updates asked for are done."""
        if self._updates is not None and update >= self._updates.last:
            self.close(update)

    def close(self, update: int) -> None:
        """Ends the trace where it is. May be called twice."""
        if self._path is not None:
            jax.profiler.stop_trace()
            self._tell(f"profile of updates {self._began_at + 1:,} to {update:,}: {self._path}")
            self._path = self._updates = None
