"""How runs are doing, read from their directories. Nothing is written there, and nothing here needs JAX.

The lock of a run directory tells whether its process lives; `heartbeat.json` tells the rest. Both may be somebody
else's, and are read as data.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from podmeta.errors import InputError
from podmeta.storage.checkpoint_files import step_name, steps_in
from podmeta.storage.local_copy import explained_to_user, published_steps
from podmeta.storage.object_store import ObjectStore
from podmeta.storage.run_files import HEARTBEAT, SUMMARY, Heartbeat, read_heartbeat, read_summary
from podmeta.storage.run_lock import holder_of
from podmeta.storage.store_lock import SECONDS_UNTIL_GONE, holder_in
from podmeta.storage.wall_clock import FAILED, FINISHED, INTERRUPTED

RUNNING, WAITING, KILLED, UNREADABLE = "running", "waiting", "killed", "unreadable"
_MARKS = ("config.yaml", HEARTBEAT, "lock")
"""A folder with one of these is a run directory."""

_KILLED = "its process ended without a word: killed, out of memory or power, or Ctrl-C twice"
_UNRECORDED = "an earlier podmeta did not record why"


class RunStatus(NamedTuple):
    """How a run is doing.

    Attributes:
      path: the run directory, or its address in an object store.
      state: "running"; "waiting": it has not begun, or its process has done no update yet; "finished"; "interrupted":
        by a signal; "failed": by an error; "killed"; or "unreadable": a file is damaged.
      update: updates done, as far as they are recorded.
      num_updates: of the job; None: not recorded.
      env_steps_per_second: of the last call to the devices; None: not recorded.
      checkpoint: the update of the newest checkpoint; None if there is none.
      checkpoint_age: seconds since it was written.
      heartbeat_age: seconds since the last heartbeat; None if there was none.
      reason: why it is in this state, in words.
    """

    path: Path | str
    state: str
    update: int
    num_updates: int | None
    env_steps_per_second: float | None
    checkpoint: int | None
    checkpoint_age: float | None
    heartbeat_age: float | None
    reason: str

    @property
    def is_over(self) -> bool:
        """Whether nothing will change before the next start."""
        return self.state not in (RUNNING, WAITING)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run directories among paths and, where a path is none, those inside it, such as the runs of a sweep.

    Raises:
      InputError: a path is no folder.
    """
    found = []
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path} is no folder: name run directories, or a folder that holds some")
        found += [path] if _is_run(path) else _runs_inside(path) or [path]
    return list(dict.fromkeys(found))


def read_status(run_path: Path) -> RunStatus:
    """How the run in a directory is doing."""
    return _read_status(run_path, holder_of(run_path))


def read_status_in_store(address: str) -> RunStatus:
    """How a run in an object store is doing, by what it has published there. Nothing is written there.

    Args:
      address: such as s3://bucket/run.

    Raises:
      InputError: the store cannot be reached, or holds no run there.
    """
    store = ObjectStore(address)
    with explained_to_user(), tempfile.TemporaryDirectory() as folder:
        names, holder = store.names(), holder_in(store)
        if not set(_MARKS) & set(names):
            raise InputError(f"{store.address} holds no run")
        for name in {HEARTBEAT, SUMMARY} & set(names):
            Path(folder, name).write_bytes(store.read(name) or b"")
        for step in published_steps(names):
            Path(folder, "checkpoints", step_name(step)).mkdir(parents=True)
        gone = time.time() - holder.time > SECONDS_UNTIL_GONE
        status = _read_status(Path(folder), None if gone else holder.words or None)
    return status._replace(path=store.address, checkpoint_age=None)


def _read_status(run_path: Path, holder: str | None) -> RunStatus:
    """How a run is doing whose lock a process holds, in words, or None."""
    try:
        beat = read_heartbeat(run_path)
        steps = steps_in(run_path / "checkpoints")
        state, reason = _state_without_heartbeat(run_path, steps, holder) if beat is None else _state(beat, holder)
    except InputError as error:
        return RunStatus(run_path, UNREADABLE, 0, None, None, None, None, None, str(error))
    checkpoint = steps[-1] if steps else None
    return RunStatus(
        run_path,
        state,
        beat.update if beat else checkpoint or 0,
        beat.num_updates if beat else None,
        beat.env_steps_per_second if beat else None,
        checkpoint,
        None if checkpoint is None else _age(run_path / "checkpoints" / step_name(checkpoint)),
        time.time() - beat.time if beat else None,
        reason,
    )


def _state(beat: Heartbeat, holder: str | None) -> tuple[str, str]:
    """The state of a run with a heartbeat, and why it is in it."""
    if holder is not None:
        if beat.holder != holder or beat.state != RUNNING:
            return WAITING, f"{holder} is starting"
        return RUNNING, holder
    if beat.state in (FINISHED, INTERRUPTED, FAILED):
        return beat.state, beat.reason
    return KILLED, _KILLED


def _state_without_heartbeat(run_path: Path, steps: list[int], holder: str | None) -> tuple[str, str]:
    """The state of a run that an earlier podmeta has trained, or that has not begun."""
    if holder is not None:
        return WAITING, f"{holder} is starting, or is of an earlier podmeta"
    if read_summary(run_path) is not None:
        return FINISHED, f"{SUMMARY} is there"
    return (INTERRUPTED, _UNRECORDED) if steps else (WAITING, "it has not begun")


def _is_run(path: Path) -> bool:
    return any(os.path.lexists(path / mark) for mark in _MARKS)


def _runs_inside(path: Path) -> list[Path]:
    """The run directories in a folder and in its folders, as in runs/ and runs/<experiment_name>/, by their names."""
    found = []
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            found += [child] if _is_run(child) else [each for each in sorted(child.iterdir()) if _is_run(each)]
    return found


def _age(path: Path) -> float | None:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return None
