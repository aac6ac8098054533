"""Recognises the user's own runs: the config of a run is signed with a key that only its user can read.

The key is made when the first job starts, in the user's state folder. The signature is in the run directory. It shows
that this user has started a job with this config in this folder, so that podmeta may run the code that the config
names. The signature is not valid for a copy of the run, which may have been changed by others.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from podmeta.data_files import read_data
from podmeta.operating_system import is_private, open_without_following
from podmeta.storage.files import TEMPORARY_PREFIX, create_file, write_atomically
from podmeta.storage.run_files import SIGNATURE

_KEY_BYTES = 32
_MAX_SIGNATURE_BYTES = 1000
_PURPOSE = b"podmeta run config 2\n"


def sign(run_path: Path, config_text: str) -> None:
    """Signs the config of a run. If there can be no key, the run has no signature.

    Raises:
      PodmetaError: the signature could not be written into the run directory.
    """
    key = _key(run_path, make=True)
    if key is None:
        (run_path / SIGNATURE).unlink(missing_ok=True)  # of an earlier config
    else:
        write_atomically(run_path / SIGNATURE, _signature(key, run_path, config_text.encode()) + "\n")


def is_signed(run_path: Path, config: bytes) -> bool:
    """Whether the user has started a job with this config in this folder.

    Args:
      run_path: the run directory.
      config: the content of its `config.yaml`, as it was read.
    """
    key = _key(run_path, make=False)
    if key is None:
        return False
    try:
        found = read_data(run_path / SIGNATURE, _MAX_SIGNATURE_BYTES)
    except (OSError, ValueError):
        return False
    return hmac.compare_digest(found.strip(), _signature(key, run_path, config).encode())


def _signature(key: bytes, run_path: Path, config: bytes) -> str:
    folder = os.fsencode(os.path.realpath(run_path))
    return hmac.digest(key, _PURPOSE + hashlib.sha256(config).digest() + folder, "sha256").hex()


def _key(run_path: Path, make: bool) -> bytes | None:
    """The user's key, which is created if it is missing and `make` is set; None if it is not available."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        folder = _state_folder().resolve()
        if folder.is_relative_to(run_path.resolve()):  # whoever gave the run would have given the key
            return None
        path = folder / "run_key"
        if make and not path.exists():
            _make_key(path)
        return _read_key(path)
    return None


def _state_folder() -> Path:
    """As the XDG base directory specification says, by which a relative path does not count."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".local" / "state") / "podmeta"


def _make_key(path: Path) -> None:
    """Makes the key, whole or not at all. The first of several processes that do so at once makes it for all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        with create_file(temporary, mode=0o600) as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_key(path: Path) -> bytes | None:
    """The key in a file of the user's that nobody else may read or write; None if the file is different."""
    descriptor = open_without_following(path, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not is_private(status):
            return None
        key = file.read(_KEY_BYTES + 1)
    return key if len(key) == _KEY_BYTES else None
