"""podmeta as a user starts it: a process of its own, in a folder of the user's, with a job small enough to wait for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

from podmeta.cli import main
from tests.end_to_end.job import JOB, REPOSITORY, Command


@pytest.fixture(scope="session")
def variables() -> dict[str, str]:
    """The variables of a user without habits, and a cache of quickly compiled programs that all tests share."""
    habits = ("JAX_", "XLA_", "FORCE_COLOR", "NO_COLOR", "TTY_", "COLUMNS", "TERM")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(habits)}
    compiled = jax.config.values["jax_compilation_cache_dir"]
    chosen = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": compiled, "PYTHONPATH": str(REPOSITORY)}
    return plain | chosen | {"XLA_FLAGS": os.environ["XLA_FLAGS"]}


@pytest.fixture(scope="module")
def podmeta(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs or starts the command in a folder that is not the repository's; nothing of it outlives the module."""
    command = Command(variables, tmp_path_factory.mktemp("elsewhere"))
    yield command
    command.kill_all()


@pytest.fixture(scope="session")
def finished_run(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of the job, run to its end without a break. Tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("finished")
    Command(variables, folder).succeeds("train", *JOB, f"run_dir={folder / 'run'}")
    return folder / "run"


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs a command that is wrong in this process, which takes no start; returns what it said, in one line."""
    changed = ("jax_cpu_enable_async_dispatch", "jax_persistent_cache_min_compile_time_secs")
    changed += ("jax_persistent_cache_min_entry_size_bytes",)
    before = {name: jax.config.values[name] for name in changed}

    def refuse(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        said = capfd.readouterr().err
        assert "Traceback" not in said
        return " ".join(said.split())

    yield refuse
    for name, value in before.items():
        jax.config.update(name, value)
