"""Paths on the command line: any valid path works, without Hydra's parsing."""

import re
import shlex
from pathlib import Path

from podmeta.errors import InputError
from podmeta.value_types import Json

PATH_KEYS = ("run_dir", "init_from", "compilation_cache_dir")
"""Config keys whose values are paths, which Hydra does not read."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_STORE_ADDRESS = re.compile(r"(s3|gs)://")
_QUOTES = ("'", '"')


def split_paths(overrides: list[str]) -> tuple[list[str], dict[str, Json]]:
    """The overrides that Hydra is to read, and by path key the path, a str.

    A value within quotes may be written for Hydra, and loses them.

    Raises:
      InputError: a path is an address other than `run_dir` in an object store, or is not text in the encoding of this
        machine.
    """
    for_hydra: list[str] = []
    paths: dict[str, Json] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if key in PATH_KEYS and equals:
            path = _unquoted(value)
            in_store = key == "run_dir" and is_store_address(path)
            paths[key] = check_text(key, path) if in_store else check_local(key, path)
        else:
            for_hydra.append(override)
    return for_hydra, paths


def is_store_address(path: str) -> bool:
    """Whether it is an address in an object store, such as s3://bucket/run."""
    return bool(_STORE_ADDRESS.match(path))


def check_local(key: str, path: str) -> str:
    """The path, if it can be one of this machine's file system.

    Args:
      key: what the user writes before it, such as "run_dir".
      path: the path.

    Raises:
      InputError: it cannot.
    """
    if _ADDRESS.match(path):
        raise InputError(
            f"{key}={path} is a URL, and this takes local paths only: mount it (gcsfuse, s3fs) and name the folder, "
            "or use a local folder and copy it"
        )
    return check_text(key, path)


def check_text(key: str, path: str) -> str:
    """The path, if it is text in the encoding of this machine.

    Args:
      key: what the user writes before it.
      path: the path.

    Raises:
      InputError: it is not.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="replace").decode()
        raise InputError(
            f"{key}={shown} is not UTF-8, or this locale cannot represent it: set PYTHONUTF8=1, or rename it"
        ) from error
    return path


def path_override(key: str, path: Path | str) -> str:
    """KEY=PATH as `podmeta` reads it, as one word of a command line."""
    # Only a path that begins with a quote could be mistaken for a quoted one.
    return f"{key}=./{path}" if str(path).startswith(_QUOTES) else f"{key}={path}"


def to_paste(key: str, path: Path | str) -> str:
    """KEY=PATH as a user can paste it into a shell."""
    return shlex.quote(path_override(key, path))


def _unquoted(value: str) -> str:
    if not (len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES):
        return value
    # Imported here, because `podmeta status` names paths too, and takes no time to start.
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        parsed = OverridesParser.create().parse_overrides([f"key={value}"])[0].value()
    except OverrideParseException:
        return value
    return parsed if isinstance(parsed, str) else value
