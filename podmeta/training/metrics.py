"""Metrics: JSON lines always; TensorBoard and Weights & Biases on request."""

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from podmeta.config.run_config import parse_run_config
from podmeta.data_files import read_data
from podmeta.errors import PodmetaError
from podmeta.storage.files import explained_write_errors, open_regular_file, write_atomically
from podmeta.storage.json_files import Warn
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import metrics_up_to
from podmeta.training.prometheus import PrometheusEndpoint
from podmeta.training.tags import hyper_parameters, metric_tag
from podmeta.training.tensorboard import EventFile
from podmeta.training.weights_and_biases import WeightsAndBiases
from podmeta.value_types import Json


class MetricsWriter:
    """Writes the rows of `metrics.jsonl`, one JSON object a line, each at once; other sinks see the same rows.

    A number that is not finite is null in the file: valid JSON, and every reader of the column still sees numbers.
    TensorBoard and Weights & Biases get it as it is, under the tag of the metric.
    """

    def __init__(
        self,
        run_directory: RunDirectory,
        *,
        resumed_update: int = 0,
        tensorboard: bool = False,
        wandb_project: str | None = None,
        prometheus: PrometheusEndpoint | None = None,
        warn: Warn = warnings.warn,
    ) -> None:
        """Opens all sinks.

        Args:
          run_directory: the run directory, held by this process.
          resumed_update: the update that the job resumes from. Rows about later ones are dropped, because they will be
            written again. So is an incomplete line that a kill has left.
          tensorboard: whether to write TensorBoard event files too.
          wandb_project: the Weights & Biases project to log to; None is none.
          prometheus: an endpoint that shows the newest row, and is closed with the other sinks; None is none.
          warn: shows the user a warning.

        Raises:
          InputError: Weights & Biases is asked for and does not start, or `metrics.jsonl` is damaged.
        """
        self._run_directory = run_directory
        self._path = run_directory.metrics_path
        self._warn = warn
        self._prometheus = prometheus
        # First, because it alone may find something amiss with the user's input.
        self._wandb = None if wandb_project is None else WeightsAndBiases(run_directory, wandb_project, warn)
        _drop_rows_after(self._path, resumed_update, warn)
        with explained_write_errors(self._path):
            self._file = _open_to_append(self._path)
        self._tensorboard = self._open_event_file(resumed_update) if tensorboard else None

    @property
    def wandb_url(self) -> str | None:
        """The address of the Weights & Biases run; None if there is none."""
        return None if self._wandb is None else self._wandb.url

    def write(self, row: Mapping[str, Json]) -> None:
        """Writes one row: `update`, and any numbers, arrays of them (as lists) or texts.

        Raises:
          PodmetaError: the disk is full.
        """
        values = {name: _to_python(value) for name, value in row.items()}
        self._make_again_what_was_deleted(values["update"])
        with explained_write_errors(self._path):
            self._file.write(json.dumps(_finite_or_null(values), allow_nan=False) + "\n")
        scalars = list(_scalars(values))
        tagged = {metric_tag(name): value for name, value in scalars}
        if self._tensorboard is not None:
            self._tensorboard.write(values["update"], tagged)
        if self._prometheus is not None:
            self._prometheus.write([("update", values["update"]), *scalars])
        if self._wandb is not None:
            self._wandb.write(values["update"], tagged)

    def write_videos(self, update: int, videos: Mapping[str, bytes]) -> None:
        """Writes animated GIFs by tag, to TensorBoard alone.

        Raises:
          PodmetaError: the disk is full.
        """
        if self._tensorboard is not None:
            self._tensorboard.write_videos(update, videos)

    def _open_event_file(self, resumed_update: int) -> EventFile:
        config = parse_run_config(self._run_directory.config_text, "the job's config")
        return EventFile(self._run_directory.tensorboard_path, resumed_update, hyper_parameters(config))

    def _make_again_what_was_deleted(self, update: int) -> None:
        """Opens new files if some were deleted or replaced, because rows would be lost silently.

        A deleted `metrics.jsonl` can still be read through the open file, so its earlier rows are written again.
        """
        if self._run_directory.current_path() != self._run_directory.path:
            return
        if not _is_at(self._file.fileno(), self._path):
            with explained_write_errors(self._path):
                earlier = _content(self._file.fileno())
                self._file.close()
                restored = not self._path.exists()
                if restored:
                    write_atomically(self._path, earlier)
                self._file = _open_to_append(self._path)
            rest = "it is made again, with its earlier rows" if restored else f"rows from update {update} on are in it"
            self._warn(f"{self._path} was deleted or replaced while the job trained: {rest}")
        if self._tensorboard is not None and self._tensorboard.is_lost():
            with contextlib.suppress(PodmetaError):  # nothing is lost that is not lost already
                self._tensorboard.close()
            self._tensorboard = self._open_event_file(update - 1)
            self._warn(
                f"the events in {self._run_directory.tensorboard_path} were deleted while the job trained: a new file "
                f"begins with update {update}"
            )

    def close(self) -> None:
        """Closes all sinks. May be called twice."""
        # A line that did not fit on a full disk is still in the buffer, and closing fails again: the others close.
        with contextlib.ExitStack() as sinks:
            if self._prometheus is not None:
                sinks.callback(self._prometheus.close)
                self._prometheus = None
            if self._wandb is not None:
                sinks.callback(self._wandb.close)
            if self._tensorboard is not None:
                sinks.callback(self._tensorboard.close)
            with explained_write_errors(self._path):
                self._file.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_to_append(path: Path) -> TextIO:
    return os.fdopen(open_regular_file(path, os.O_APPEND), "a", buffering=1, encoding="utf-8")


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _content(descriptor: int) -> bytes:
    """All of an open file, which need not have a name any more."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()


def _drop_rows_after(path: Path, update: int, warn: Warn) -> None:
    """Keeps the whole rows about this update and earlier ones, in place and atomically."""
    kept = "".join(line.text for line in metrics_up_to(path, update, warn))
    if path.exists() and kept.encode() != read_data(path):
        write_atomically(path, kept)


def _to_python(value: Any) -> Any:
    """Python numbers and lists for NumPy's and JAX's; anything else as it is."""
    if not hasattr(value, "dtype"):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biu":
        array = array.astype(np.float64)  # bfloat16 has no Python counterpart
    return array.tolist()


def _finite_or_null(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite_or_null(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite_or_null(entry) for entry in value]
    return value


def _scalars(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a row; `name/0`, `name/1`, … for those of a list. Texts and `update` itself are left out."""
    for name, value in values.items():
        if isinstance(value, list | tuple):
            yield from _scalars({f"{name}/{index}": entry for index, entry in enumerate(value)})
        elif isinstance(value, int | float) and name != "update":
            yield name, value
