"""Importing what belongs to an extra, only where it is needed, and looking for names that do not exist."""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

from podmeta.errors import InputError


def import_extra(module: str, extra: str) -> ModuleType:
    """A module that comes with an extra of podmeta.

    Raises:
      InputError: it is not installed, or cannot be imported; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"environment.name={extra} needs {module}, which cannot be imported ({error}): "
            f"pip install 'podmeta[{extra}]'"
        ) from error


def near(name: str, known: Iterable[str]) -> str:
    """A hint: the known names that look like `name`."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, cutoff=0.5)
    if not matches:
        return "no name is like it"
    return f"did you mean {' or '.join(by_lower_case[match] for match in matches)}?"
