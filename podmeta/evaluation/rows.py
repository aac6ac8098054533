"""Reading what meta-tests have written."""

import json
from pathlib import Path
from typing import Any

from podmeta.errors import InputError
from podmeta.runtime.meta_params_id import CurrentRows, current_rows, newest_meta_params

LEARNS_FROM_REWARD = "learns_from_reward"
"""The metric of a learner's verdict, 1 for yes and 0 for no; see `podmeta.evaluation.verdict`."""

_KEYS = {"suite", "environment", "setting", "algorithm", "metric", "mean", "low", "high", "num_tasks"}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of an `evaluation.jsonl` or `learning_curves.jsonl`.

    Raises:
      InputError: there is no such file, or it was written by another version of podmeta or damaged.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise InputError(f"{path} is not there: `podmeta evaluate run={path.parent}` makes it") from error
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}): take it away, and podmeta evaluate run={path.parent}"
        ) from error
    if not rows or not all(isinstance(row, dict) and row.keys() >= _KEYS for row in rows):
        raise InputError(
            f"{path} is not what this version of podmeta writes: take it away, and podmeta evaluate run={path.parent}"
        )
    return rows


def read_current_rows(run_path: Path, name: str) -> CurrentRows:
    """The rows of a file in a run directory that are of the run's newest θ, and a line about those that are not.

    Raises:
      InputError: there is no such file, or it or summary.json was written by another version of podmeta or damaged.
    """
    path = run_path / name
    return current_rows(read_rows(path), newest_meta_params(run_path), path)


def setting_key(suite: str, environment: str, setting: dict[str, Any]) -> str:
    """A setting in words, which tells it from all others."""
    told = {"environment": environment, **setting}
    name = str(told.pop("environment"))
    return ", ".join([f"{suite}: {name}", *(f"{key}={value}" for key, value in told.items())])


def lower_is_better(metric: str) -> bool:
    """Whether less of a headline metric is better."""
    return metric in ("regret", "failures")
