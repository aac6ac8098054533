"""The files of a checkpoint: their names, their checksums and the manifest. Nothing here needs JAX."""

import dataclasses
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from podmeta.data_files import most_array_bytes, open_data
from podmeta.errors import InputError
from podmeta.operating_system import LINK, files_within
from podmeta.storage.files import reason
from podmeta.storage.json_files import decode_object
from podmeta.storage.meta_test_record import MetaTestRecord

ARRAYS = "arrays"
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
_MOST_BYTES = {CHECKSUMS: 100_000_000, MANIFEST: 2**32}
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
    return _lines({name: _sha256(file) for name, file in _open_files(directory) if name != CHECKSUMS})


def read_manifest(path: Path, step: int) -> Manifest:
    """The manifest of a checkpoint, once all its files have been checked.

    Args:
      path: the checkpoint's folder.
      step: the step that it should be of.

    Raises:
      BrokenCheckpointError: a file is missing, added or not as saved, or the manifest is damaged or of another step.
    """
    return _manifest(path, step, _checked_files(path, lambda name: name == MANIFEST))


def read_checkpoint(path: Path, step: int) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest of a checkpoint, and the files below `arrays/` by their paths there.

    Each file is read once, so that what is returned is what was checked, even if somebody changes the files meanwhile.

    Args:
      path: the checkpoint's folder.
      step: the step that it should be of.

    Raises:
      BrokenCheckpointError: as `read_manifest`.
      InputError: the files are too large for this machine.
    """
    files = _checked_files(path, lambda name: name == MANIFEST or name.startswith(f"{ARRAYS}/"))
    manifest = _manifest(path, step, files)
    return manifest, {name.removeprefix(f"{ARRAYS}/"): content for name, content in files.items() if name != MANIFEST}


def check_files(directory: Path) -> None:
    """Checks the files of a checkpoint against its checksums.

    Raises:
      BrokenCheckpointError: one is missing, added or not as saved.
    """
    _checked_files(directory, lambda name: False)


def too_large(path: Path, num_bytes: int) -> InputError:
    """The error about a checkpoint that takes more memory than podmeta gives to one."""
    return InputError(
        f"checkpoint {path} takes {num_bytes / 1e9:,.1f} GB or more. podmeta reads at most half of this machine's "
        f"memory, {most_array_bytes() / 1e9:,.1f} GB"
    )


def _manifest(path: Path, step: int, files: dict[str, bytes]) -> Manifest:
    try:
        manifest = decode_object(path / MANIFEST, files[MANIFEST], Manifest, "It was written by something else")
    except KeyError as error:
        raise BrokenCheckpointError(f"it has no {MANIFEST}") from error
    except InputError as error:
        raise BrokenCheckpointError(str(error)) from error
    if manifest.step != step:
        raise BrokenCheckpointError(f"its manifest is of step {manifest.step}")
    return manifest


def _open_files(directory: Path) -> Iterator[tuple[str, BufferedReader]]:
    """All files of a checkpoint, each open until the next one is: its path in the checkpoint, and itself."""
    for path, folder in files_within(directory):
        with open_data(path, _MOST_BYTES.get(path.name), folder) as file:
            yield path.relative_to(directory).as_posix(), file


def _checked_files(directory: Path, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The content of the files that are wanted, by their paths, once all files have their checksums."""
    expected: bytes | None = None
    found: dict[str, str] = {}
    wanted: dict[str, bytes] = {}
    room = most_array_bytes()
    try:
        for name, file in _open_files(directory):
            if name == CHECKSUMS:
                expected = file.read(_MOST_BYTES[CHECKSUMS])
            elif is_wanted(name):
                num_bytes = os.fstat(file.fileno()).st_size
                room -= num_bytes
                if room < 0:
                    raise too_large(directory, most_array_bytes() - room)
                wanted[name] = file.read(num_bytes)  # no more, should it grow
                found[name] = hashlib.sha256(wanted[name]).hexdigest()
            else:
                found[name] = _sha256(file)
        if expected is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory / CHECKSUMS))
    except OSError as error:
        raise BrokenCheckpointError(reason(error) + (f": {error.filename}" if error.filename else "")) from error
    lines = _lines(found)
    if expected == "".join(lines).encode(errors="surrogateescape"):
        return wanted
    differing = set(expected.decode(errors="replace").splitlines(keepends=True)) ^ set(lines)
    names = sorted({line.rstrip("\n").partition("  ")[2] or CHECKSUMS for line in differing} or {CHECKSUMS})
    raise BrokenCheckpointError(f"{', '.join(names)}: missing, added or not as saved, by {CHECKSUMS}")


def _lines(digests: dict[str, str]) -> list[str]:
    return [f"{digests[name]}  {name}\n" for name in sorted(digests, key=Path)]


def _sha256(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()
