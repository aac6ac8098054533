"""The files of a checkpoint: their names, their checksums and the manifest. Nothing here needs JAX."""

import dataclasses
import errno
import hashlib
import os
import re
from pathlib import Path

from podmeta.data_files import open_data, read_data
from podmeta.errors import InputError
from podmeta.operating_system import LINK
from podmeta.storage.files import reason
from podmeta.storage.json_files import read_object
from podmeta.storage.meta_test_record import MetaTestRecord

ARRAYS = "arrays"
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
_MAX_CHECKSUMS = 100_000_000  # bytes
_STEP_NAME = re.compile(r"step_(\d{8,18})")  # a number of 64 bits: event files hold no larger one


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
class CheckpointMetadata:
    """The metadata of a checkpoint.

    Attributes:
      seconds: spent training so far, compilation left out.
      meta_params_sha256: the digest of every instance's θ. Earlier versions saved none.
      random_generator: as `podmeta.keys.describe_generator` says. Earlier versions saved none.
      meta_tests: the record of the meta-tests during training, if there were any. The θ that it names is in the tree.
    """

    seconds: float
    meta_params_sha256: list[str] | None = None
    random_generator: str | None = None
    meta_tests: MetaTestRecord | None = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says."""

    step: int
    metadata: CheckpointMetadata
    arrays: list[SavedArray]


def step_name(step: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step_{step:08d}"


def steps_in(directory: Path) -> list[int]:
    """The steps of all checkpoints in a directory, good or broken, ascending; none where there is no directory.

    Raises:
      InputError: it cannot be read, or is a link.
    """
    try:
        if directory.is_symlink():
            raise OSError(errno.ELOOP, LINK)
        matches = [_STEP_NAME.fullmatch(entry.name) for entry in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:  # ValueError: a name that no folder can have
        raise InputError(f"{directory} cannot be read: {reason(error)}") from error
    return sorted(int(match[1]) for match in matches if match)


def checksum_lines(directory: Path) -> list[str]:
    """The lines of a checkpoint's SHA256SUMS, as its files are now.

    Raises:
      OSError: a file cannot be read, or a file or folder is a link.
    """
    files: list[Path] = []
    for parent, folders, names in os.walk(directory):
        # The walk passes over a link to a folder, but Orbax would follow it.
        for folder in folders:
            if Path(parent, folder).is_symlink():
                raise OSError(errno.ELOOP, LINK, str(Path(parent, folder)))
        files += [Path(parent, name) for name in names if name != CHECKSUMS]
    return [f"{_sha256(path)}  {path.relative_to(directory).as_posix()}\n" for path in sorted(files)]


def read_manifest(path: Path, step: int) -> Manifest:
    """The manifest of a checkpoint, once all its files have been checked.

    Args:
      path: the checkpoint's folder.
      step: the step that it should be of.

    Raises:
      BrokenCheckpointError: a file is missing, added or not as saved, or the manifest is damaged or of another step.
    """
    check_files(path)
    try:
        manifest = read_object(path / MANIFEST, Manifest, "It was written by something else")
    except InputError as error:
        raise BrokenCheckpointError(str(error)) from error
    if manifest.step != step:
        raise BrokenCheckpointError(f"its manifest is of step {manifest.step}")
    return manifest


def check_files(directory: Path) -> None:
    """Checks the files of a checkpoint against its checksums.

    Raises:
      BrokenCheckpointError: one is missing, added or not as saved.
    """
    try:
        if directory.is_symlink():
            raise OSError(errno.ELOOP, LINK)
        expected = read_data(directory / CHECKSUMS, _MAX_CHECKSUMS)
        found = checksum_lines(directory)
    except OSError as error:
        raise BrokenCheckpointError(reason(error) + (f": {error.filename}" if error.filename else "")) from error
    if expected == "".join(found).encode():
        return
    differing = set(expected.decode(errors="replace").splitlines(keepends=True)) ^ set(found)
    names = sorted({line.rstrip("\n").partition("  ")[2] or CHECKSUMS for line in differing} or {CHECKSUMS})
    raise BrokenCheckpointError(f"{', '.join(names)}: missing, added or not as saved, by {CHECKSUMS}")


def _sha256(path: Path) -> str:
    with open_data(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
