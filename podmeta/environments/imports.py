"""Imports of extras, only when they are needed; and suggestions for misspelt names."""

import contextlib
import difflib
import importlib
import io
from collections.abc import Iterable
from types import ModuleType

from podmeta.errors import InputError


def import_extra(module: str, environment: str) -> ModuleType:
    """A module that `environment.name=` needs. It comes with the extra of the same name, spelt with hyphens.

    What it prints while it is imported (MJX does) is dropped.

    Raises:
      InputError: it is not installed, or cannot be imported; the message says how to install it.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"environment.name={environment} needs {module}, which cannot be imported ({error}): "
            f"pip install 'podmeta[{environment.replace('_', '-')}]'"
        ) from error


def near(name: str, known: Iterable[str], otherwise: str = "No name there is similar.") -> str:
    """A sentence with the known names that resemble `name`, or `otherwise` if none does."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, cutoff=0.5)
    if not matches:
        return otherwise
    return f"Did you mean {' or '.join(by_lower_case[match] for match in matches)}?"
