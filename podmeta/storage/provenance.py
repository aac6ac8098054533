"""The provenance of a run, `environment.json`: versions, machine, devices, source revision, command line."""

import dataclasses
import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import podmeta
from podmeta.storage.json_files import read_object
from podmeta.storage.run_files import ENVIRONMENT
from podmeta.value_types import Json

_VARIABLE_PREFIXES = ("JAX_", "LIBTPU_", "XLA_")
_GIT_TIMEOUT_S = 10.0


@dataclasses.dataclass(frozen=True)
class GitState:
    """A checkout: its revision, and whether files differ from it."""

    revision: str
    dirty: bool


@dataclasses.dataclass(frozen=True)
class Provenance:
    """`environment.json`: what the last start of a run ran with.

    Attributes:
      command_line: the program and its arguments.
      python, platform, host: versions and names.
      cpu_count: CPU cores of the machine.
      devices: the job's devices, in words.
      git: the checkout that podmeta ran from, if any.
      variables: environment variables that change what JAX does.
      packages: versions of all installed packages.
    """

    command_line: list[str]
    python: str
    platform: str
    host: str
    cpu_count: int | None
    devices: list[str]
    git: GitState | None
    variables: dict[str, str]
    packages: dict[str, str]
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)


def read_provenance(run_path: Path) -> Provenance:
    """A run's `environment.json`.

    Raises:
      InputError: it is missing or damaged.
    """
    cure = "Delete it and give the run's command again, which writes it anew"
    return read_object(run_path / ENVIRONMENT, Provenance, cure)


def describe_provenance(devices: Sequence[str]) -> Provenance:
    """The content of `environment.json`: enough to set up the same job again.

    Args:
      devices: the job's devices, in words.
    """
    return Provenance(
        command_line=[_printable(argument) for argument in sys.argv],
        python=platform.python_version(),
        platform=platform.platform(),
        host=socket.gethostname(),
        cpu_count=os.cpu_count(),
        devices=list(devices),
        git=git_state(Path(podmeta.__file__).parent),
        variables={
            _printable(name): _printable(value)
            for name, value in sorted(os.environ.items())
            if name.startswith(_VARIABLE_PREFIXES)
        },
        packages=installed_packages(),
    )


def installed_packages() -> dict[str, str]:
    """Name and version of every installed package."""
    versions = {
        distribution.metadata["Name"]: distribution.version for distribution in importlib.metadata.distributions()
    }
    return dict(sorted((name, version) for name, version in versions.items() if name))


def git_state(directory: Path) -> GitState | None:
    """The checkout around a directory; None if there is none, or git does not answer."""
    revision = _git(directory, "rev-parse", "HEAD")
    changes = _git(directory, "status", "--porcelain", "--", ".")
    if revision is None or changes is None:
        return None
    return GitState(revision.strip(), dirty=bool(changes.strip()))


def _printable(text: str) -> str:
    """Text of the operating system, with question marks for bytes that it could not decode."""
    return text.encode(errors="replace").decode()


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # names of changed files
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout
