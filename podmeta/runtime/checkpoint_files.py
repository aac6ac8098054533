"""The files of a checkpoint: their names, their checksums and the manifest. Nothing here needs JAX."""

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Any

from podmeta.errors import InputError
from podmeta.runtime.files import reason
from podmeta.runtime.json_files import read_object

ARRAYS = "arrays"
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
_STEP_NAME = re.compile(r"step_(\d{8,})")


class BrokenCheckpointError(Exception):
    """Why a checkpoint cannot be used."""


@dataclasses.dataclass(frozen=True)
class SavedArray:
    """One array of a checkpoint: its path in the tree, and a SHA-256 over this description and the content."""

    path: str
    shape: list[int]
    dtype: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says; `metadata` is the caller's."""

    step: int
    metadata: dict[str, Any]
    arrays: list[SavedArray]


def step_name(step: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step_{step:08d}"


def steps_in(directory: Path) -> list[int]:
    """The steps of all checkpoints in a directory, good or broken, ascending; none where there is no directory."""
    if not directory.is_dir():
        return []
    matches = (_STEP_NAME.fullmatch(entry.name) for entry in directory.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def checksum_lines(directory: Path) -> list[str]:
    """The lines of a checkpoint's SHA256SUMS, as its files are now."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    return [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory).as_posix()}\n" for path in files
    ]


def read_manifest(directory: Path, step: int) -> Manifest:
    """The manifest of the checkpoint of a step, once all its files have been checked.

    Args:
      directory: where the checkpoints are.
      step: the step.

    Raises:
      BrokenCheckpointError: a file is missing, added or not as saved, or the manifest is damaged or of another step.
    """
    path = directory / step_name(step)
    _check_files(path)
    try:
        manifest = read_object(path / MANIFEST, Manifest, "It was written by something else")
    except InputError as error:
        raise BrokenCheckpointError(str(error)) from error
    if manifest.step != step:
        raise BrokenCheckpointError(f"its manifest is of step {manifest.step}")
    return manifest


def _check_files(directory: Path) -> None:
    try:
        expected = (directory / CHECKSUMS).read_bytes()
        found = checksum_lines(directory)
    except OSError as error:
        raise BrokenCheckpointError(reason(error) + (f": {error.filename}" if error.filename else "")) from error
    if expected == "".join(found).encode():
        return
    differing = set(expected.decode(errors="replace").splitlines(keepends=True)) ^ set(found)
    names = sorted({line.rstrip("\n").partition("  ")[2] or CHECKSUMS for line in differing} or {CHECKSUMS})
    raise BrokenCheckpointError(f"{', '.join(names)}: missing, added or not as saved, by {CHECKSUMS}")
