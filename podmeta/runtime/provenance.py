"""What a run was made with: versions, machine, devices, source revision, command line."""

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import podmeta

_VARIABLE_PREFIXES = ("JAX_", "LIBTPU_", "XLA_")
_GIT_TIMEOUT_S = 10.0


def describe_provenance(devices: Sequence[str]) -> dict[str, Any]:
    """What `environment.json` holds: enough to set the same job up again.

    Args:
      devices: the job's devices, in words.
    """
    return {
        "command_line": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpu_count": os.cpu_count(),
        "devices": list(devices),
        "git": git_state(Path(podmeta.__file__).parent),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLE_PREFIXES)},
        "packages": installed_packages(),
    }


def installed_packages() -> dict[str, str]:
    """Name and version of every installed package."""
    versions = {
        distribution.metadata["Name"]: distribution.version for distribution in importlib.metadata.distributions()
    }
    return dict(sorted((name, version) for name, version in versions.items() if name))


def git_state(directory: Path) -> dict[str, Any] | None:
    """The revision of the checkout around a directory, and whether the directory differs from it.

    Returns:
      `{"revision": …, "dirty": …}`, or None outside a checkout or where git does not answer.
    """
    revision = _git(directory, "rev-parse", "HEAD")
    changes = _git(directory, "status", "--porcelain", "--", ".")
    if revision is None or changes is None:
        return None
    return {"revision": revision.strip(), "dirty": bool(changes.strip())}


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout
