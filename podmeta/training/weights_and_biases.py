"""Logging to Weights & Biases. If it fails, training continues."""

import importlib
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podmeta.config.run_config import read_run_config
from podmeta.data_files import read_data
from podmeta.errors import InputError
from podmeta.storage.files import write_atomically
from podmeta.storage.json_files import Warn
from podmeta.storage.run_directory import RunDirectory

_ID_FILE = "wandb_id"
_MAX_ID_BYTES = 1000
_PLAIN_ID = re.compile(r"[\w-]{1,64}")
_WITHOUT = "or set logging.wandb=false"


class WeightsAndBiases:
    """One Weights & Biases run for one run directory, however often the job is resumed.

    Attributes:
      url: the address of the run; None if it has none, as without a network.
    """

    def __init__(self, run_directory: RunDirectory, project: str, warn: Warn) -> None:
        """Starts or resumes the run.

        Args:
          run_directory: the run directory. Its file `wandb_id` holds the name that Weights & Biases knows the run by.
            In a run that the user has not started, it may be the name of anybody's, and a new one takes its place.
          project: the project to log to.
          warn: shows the user a warning.

        Raises:
          InputError: Weights & Biases is not installed, or does not start, as without an API key.
        """
        self._run = _start(_import_wandb(), run_directory.path, project, _run_id(run_directory, warn))
        self.url: str | None = getattr(self._run, "url", None)
        self._warn = warn
        self._failed = False

    def write(self, update: int, scalars: dict[str, float]) -> None:
        """Logs the numbers of a row by tag. After the first failure nothing more is logged."""
        if self._failed:
            return
        try:
            self._run.log(scalars, step=update)
        except Exception as error:
            self._fail(f"takes no rows from update {update} on", error)

    def close(self) -> None:
        """Ends the run, and sends what is left."""
        if self._failed:
            return
        try:
            self._run.finish()
        except Exception as error:
            self._fail("did not end well", error)

    def _fail(self, what: str, error: Exception) -> None:
        self._failed = True
        self._warn(f"Weights & Biases {what}: {_first_line(error)}. Training goes on, and metrics.jsonl has every row")


def add_results(run_path: Path, project: str, values: Mapping[str, float], warn: Warn) -> None:
    """Adds results by tag to the summary of a run that has logged to Weights & Biases. If it fails, a warning says so.

    Args:
      run_path: the run directory, of a run that the user has started.
      project: the project that the run has logged to.
      values: the results.
      warn: shows the user a warning.
    """
    run_id = _written_id(run_path / _ID_FILE)
    if run_id is None:
        return
    try:
        run = _start(_import_wandb(), run_path, project, run_id)
        run.summary.update(dict(values))
        run.finish()
    except Exception as error:
        warn(f"the results are not in Weights & Biases: {_first_line(error)}. evaluation.jsonl has them")


def _import_wandb() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise InputError(
            "logging.wandb is true, but Weights & Biases is not installed: run pip install 'podmeta[wandb]', "
            f"{_WITHOUT}"
        ) from error


def _start(wandb: Any, run_path: Path, project: str, run_id: str) -> Any:
    """Starts or resumes a run with the config of a run directory."""
    config = read_run_config(run_path / "config.yaml")
    try:
        return wandb.init(
            project=project,
            name=config.get("experiment_name"),
            id=run_id,
            resume="allow",
            dir=str(run_path),
            config=config,
        )
    except Exception as error:  # of wandb's own classes, which differ from version to version
        raise InputError(
            f"logging.wandb is true, but Weights & Biases does not start: {_first_line(error)}. Run wandb login or "
            f"set WANDB_API_KEY, set WANDB_MODE=offline to log to the run directory alone, {_WITHOUT}"
        ) from error


def _run_id(run_directory: RunDirectory, warn: Warn) -> str:
    """The name of the run. What the user's own WANDB_RUN_ID says comes first."""
    path = run_directory.path / _ID_FILE
    found = _written_id(path)
    chosen = os.environ.get("WANDB_RUN_ID") or (found if run_directory.is_own else None)
    run_id = chosen or uuid.uuid4().hex
    if found is not None and chosen is None:
        goes_on = f"; WANDB_RUN_ID={found} goes on with that one" if _PLAIN_ID.fullmatch(found) else ""
        warn(f"a new Weights & Biases run starts, because {path} is of a run that you have not started here{goes_on}")
    if run_id != found:
        write_atomically(path, run_id)
    return run_id


def _written_id(path: Path) -> str | None:
    """What the file of a run's name holds; None if there is no file."""
    return read_data(path, _MAX_ID_BYTES).decode(errors="replace").strip() if path.exists() else None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
