"""podmeta as a user starts it: a process of its own, in a folder of the user's, with a job small enough to wait for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.job import JOB, REPOSITORY, Command


@pytest.fixture(scope="session")
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of a user without habits, and a cache of quickly compiled programs that all tests share."""
    habits = ("JAX_", "XLA_", "FORCE_COLOR", "NO_COLOR", "TTY_", "COLUMNS", "TERM")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(habits)}
    compiled = str(request.config.cache.mkdir("compiled"))
    chosen = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": compiled, "PYTHONPATH": str(REPOSITORY)}
    return plain | chosen | {"XLA_FLAGS": os.environ["XLA_FLAGS"]}


@pytest.fixture(scope="module")
def podmeta(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs or starts the command in a folder that is not the repository's; nothing of it outlives the module."""
    command = Command(variables, tmp_path_factory.mktemp("elsewhere"))
    yield command
    command.kill_all()


@pytest.fixture(scope="module")
def finished_run(podmeta: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of the job, run to its end without a break. Tests copy it before they change it."""
    path = tmp_path_factory.mktemp("finished") / "run"
    podmeta.succeeds("train", *JOB, f"run_dir={path}")
    return path
