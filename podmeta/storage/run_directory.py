"""The run directory: one job's files, held by one process at a time, for one config.

config.yaml  config.signature  environment.json  metrics.jsonl  wall_clock.jsonl  checkpoints/  tensorboard/
evaluation.jsonl  summary.json  heartbeat.json  lock
"""

import fnmatch
import itertools
import json
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from podmeta.config.compose import job_from_yaml, job_to_yaml
from podmeta.config.run_config import parse_run_config, read_config_file, read_run_config
from podmeta.errors import InputError
from podmeta.storage.checkpoint_files import steps_in
from podmeta.storage.files import delete_old_temporaries, reason, write_atomically
from podmeta.storage.json_files import encode
from podmeta.storage.provenance import Provenance
from podmeta.storage.run_files import ENVIRONMENT, FILES, FOLDERS, METRICS, SUMMARY, TENSORBOARD
from podmeta.storage.run_lock import RunLock
from podmeta.storage.signature import is_signed, sign
from podmeta.value_types import Json

CHANGEABLE_KEYS = (
    "run_dir",
    "num_updates",
    "outer.*_schedule.num_updates",
    "resume",
    "profile",
    "compilation_cache_dir",
    "checkpoint.*",
    "devices.*",
    "distributed.*",
    "evaluation.*",
    "logging.*",
)
"""Config keys that may differ when a run is resumed: where it runs, what is logged, and how long it trains.

Schedules run over `num_updates` too, unless they set their own; see `podmeta.training.schedules`."""

_MAX_CHANGES_TOLD = 8
_MAX_VALUE = 200  # characters

ABSENT = "(absent)"
"""The value of a key that one of two configs does not have."""


class RunDirectory:
    """A run directory that this process alone may write, until `release` or the end of the `with` block.

    In a job of many processes one of them holds it. The operating system frees the lock of a killed process, so
    there is nothing to clean up by hand.

    Attributes:
      path: the directory, absolute.
      is_own: whether the user has started a job here before, and its config has not changed since.
      config_text: the whole resolved config of the job, as YAML.
      config_path, environment_path, metrics_path, summary_path: its files.
      checkpoints_path, tensorboard_path: its folders.
    """

    def __init__(self, path: Path, config_text: str, changeable_keys: Sequence[str] = CHANGEABLE_KEYS) -> None:
        """Creates the directory, or opens that of an existing run with this config.

        Args:
          path: where.
          config_text: the whole resolved config, as YAML.
          changeable_keys: keys (dotted, with shell wildcards) that may differ from the run's earlier config.

        Raises:
          InputError: it cannot be written, another job holds it, or it belongs to another experiment or config.
        """
        self.path = path.absolute()
        self.config_path = self.path / "config.yaml"
        self.environment_path = self.path / ENVIRONMENT
        self.metrics_path = self.path / METRICS
        self.summary_path = self.path / SUMMARY
        self.checkpoints_path = self.path / "checkpoints"
        self.tensorboard_path = self.path / TENSORBOARD
        self.config_text = config_text
        self._provenance: Provenance | None = None
        self._lock = RunLock(self.path)
        try:
            check_entries(self.path)
            check_config(self.path, config_text, changeable_keys)
            self.is_own = self.config_path.exists() and is_signed(self.path, read_config_file(self.config_path))
            delete_old_temporaries(self.path)
        except BaseException:
            self.release()
            raise

    def write_start(self, provenance: Provenance) -> None:
        """Writes `config.yaml`, signed, and what this start of the job runs with as `environment.json`.

        A start that trains nothing must not call this, because the files would no longer say what made θ.
        """
        self._provenance = provenance
        write_atomically(self.config_path, self.config_text)
        sign(self.path, self.config_text)
        write_atomically(self.environment_path, json.dumps(encode(provenance), indent=2) + "\n")

    @property
    def holder(self) -> str:
        """This process, as its lock names it to others."""
        return self._lock.holder

    def current_path(self) -> Path | None:
        """Where the directory is now: `path`, another path if it was renamed, None if it was deleted."""
        return self._lock.directory_now()

    def make_again(self) -> None:
        """Makes the directory again after it was deleted, with `config.yaml` and `environment.json`.

        Raises:
          InputError: it cannot be created, or another run is there now.
        """
        self._lock.release()
        self._lock = RunLock(self.path)
        if (self.path / "config.yaml").exists() or steps_in(self.checkpoints_path):
            raise InputError(f"another run is in {self.path} now")
        if self._provenance is not None:
            self.write_start(self._provenance)

    def release(self) -> None:
        """Releases the directory for other jobs. May be called twice."""
        self._lock.release()

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def make_run_path(experiment_name: str) -> Path:
    """Creates runs/<experiment_name>/<time>, the run directory of a job without `run_dir`.

    No two jobs get the same one: if they start in the same second, a number follows the time.

    Raises:
      InputError: it cannot be made.
    """
    base = Path("runs", experiment_name, time.strftime("%Y-%m-%d_%H-%M-%S"))
    for number in itertools.count():
        path = base.with_name(f"{base.name}_{number}") if number else base
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{path} cannot be made: {reason(error)}. Name a folder with run_dir=") from error
        return path
    raise AssertionError("counting has no end")


def check_entries(path: Path) -> None:
    """Checks that what a run directory holds can be written: files where files belong, folders, and no links.

    Raises:
      InputError: something else stands there; the message names it.
    """
    kinds = dict.fromkeys(FILES, "file") | dict.fromkeys(FOLDERS, "folder")
    for name, kind in kinds.items():
        try:
            mode = (path / name).lstat().st_mode
        except OSError:
            continue
        if not (stat.S_ISREG if kind == "file" else stat.S_ISDIR)(mode):
            found = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else f"not a {kind}"
            raise InputError(
                f"{path / name} is {found}, and a run has a {kind} there: move it away, or choose another run_dir"
            )


def check_config(path: Path, config_text: str, changeable_keys: Sequence[str] = CHANGEABLE_KEYS) -> None:
    """Checks that a run directory holds no run, or one that a job with this config can resume.

    Args:
      path: the directory; it need not exist.
      config_text: the whole resolved config of the job, as YAML.
      changeable_keys: keys (dotted, with shell wildcards) that may differ from the run's earlier config.

    Raises:
      InputError: it belongs to another experiment or config; the message names the keys that differ.
    """
    if not (path / "config.yaml").exists():
        if (path / "checkpoints").exists() or (path / "metrics.jsonl").exists():
            raise InputError(
                f"run_dir {path} holds a run without its config.yaml, so it cannot be told whether it is "
                "this one. Restore its config.yaml, or choose another run_dir."
            )
        return
    old = _with_new_defaults(path / "config.yaml")
    new = parse_run_config(config_text, "the job's config")
    old_name, new_name = old.get("experiment_name"), new.get("experiment_name")
    if old_name != new_name:
        raise InputError(
            f"run_dir {path} belongs to another experiment: experiment_name is {old_name!r} there and "
            f"{new_name!r} now. Choose another run_dir."
        )
    refuse_changes(f"run_dir {path} holds a run", "that run", differing_keys(old, new), changeable_keys)


def refuse_changes(
    there: str, resumed: str, differing: Sequence[tuple[str, Json, Json]], changeable_keys: Sequence[str]
) -> None:
    """Checks that two configs differ in changeable keys only.

    Args:
      there: the beginning of the message, such as "run_dir runs/first holds a run".
      resumed: what equal values would resume, such as "that run".
      differing: what `differing_keys` says.
      changeable_keys: keys (dotted, with shell wildcards) that may differ.

    Raises:
      InputError: they differ in others, which the message names.
    """
    changes = [
        f"  {key}: {_brief(before)} there, {_brief(after)} now"
        for key, before, after in differing
        if not any(fnmatch.fnmatchcase(key, pattern) for pattern in changeable_keys)
    ]
    if changes:
        left_out = len(changes) - _MAX_CHANGES_TOLD
        raise InputError(
            "\n".join(
                [
                    f"{there} with another config:",
                    *changes[:_MAX_CHANGES_TOLD],
                    *([f"  and {left_out} more"] if left_out > 0 else []),
                    f"Restore these values to resume {resumed}, or choose another run_dir.",
                ]
            )
        )


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _with_new_defaults(path: Path) -> dict[str, Any]:
    """The config of a run, with the defaults of keys that podmeta did not have yet when the run began."""
    written = read_run_config(path)
    try:
        return parse_run_config(job_to_yaml(job_from_yaml(path, [])), str(path))
    except InputError:  # it has keys or values that this podmeta has not: they are among the differences
        return written


def differing_keys(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[tuple[str, Json, Json]]:
    """Where two nested configs differ: `(dotted key, old value, new value)`, sorted by key.

    Lists are compared whole. A key that one side lacks has the value `ABSENT` there.
    """
    old_values, new_values = flatten(old), flatten(new)
    pairs = [
        (key, old_values.get(key, ABSENT), new_values.get(key, ABSENT))
        for key in sorted(old_values.keys() | new_values.keys())
    ]
    return [(key, before, after) for key, before, after in pairs if before != after]


def flatten(config: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """The values of a nested config by dotted key. Lists stay whole."""
    flat: dict[str, Json] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
