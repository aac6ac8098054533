"""Messages about a wrong key, type or name."""

import difflib
from collections.abc import Iterable

from hydra.errors import OverrideParseException
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from podmeta.config.presets import list_options
from podmeta.config.schema import schema_fields

HOW_TO_OVERRIDE = "Write KEY=VALUE, with quotes around it where the value has brackets, braces or commas"


def explain_overrides(error: Exception, overrides: list[str]) -> str:
    """What was wrong with a command line, in a line or two, with the nearest names that exist."""
    for override in overrides:
        group, _, name = override.partition("=")
        choices = list_options(group) if group.isidentifier() and "=" in override else {}
        if choices and name and name not in choices:
            return no_such_choice(group, name, choices)
    if str(error).startswith("Ambiguous value"):  # Hydra's words for a list of values to sweep
        return f"{error}. Quote a value that has commas, or sweep over its parts: podmeta train … --multirun"
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read. {HOW_TO_OVERRIDE}"
    # Hydra links its error to the one behind it as a cause where the command line is wrong, but not where a file is.
    if error.__cause__ is None and isinstance(error.__context__, ConfigKeyError):
        return _misfit_of_preset(str(error.__context__.full_key), overrides)
    return explain(
        error, [key for key, _ in schema_fields()], "`podmeta train --help` lists the experiments and groups"
    )


def explain(error: Exception, keys: Iterable[str], where_to_look: str, prefix: str = "") -> str:
    """What was wrong with a key or its value, in a line or two.

    Args:
      error: what OmegaConf or Hydra raised.
      keys: the keys there are.
      where_to_look: a sentence about them, for a user who has mistaken one.
      prefix: what the user writes before a key.
    """
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ if isinstance(cause.__cause__, Exception) else error
    message = str(cause).splitlines()[0]
    key = str(getattr(cause, "full_key", None) or "")
    if not key:
        return str(error).splitlines()[0]
    if "not in" in message or "is not in struct" in message:
        return f"unknown config key {prefix + key!r}.{_nearest(key, keys)} {where_to_look}"
    return f"{prefix}{key}: {message}"


def _misfit_of_preset(key: str, overrides: list[str]) -> str:
    """That an experiment sets a key of another member of a group than the user has chosen."""
    group = key.partition(".")[0]
    experiment = next((override for override in overrides if override.startswith("experiment=")), "a preset")
    choice = next((override for override in overrides if override.startswith(f"{group}=")), f"the {group} chosen")
    return f"{experiment} sets {key}, which {choice} does not have: start from another experiment, or from none"


def no_such_choice(key: str, name: str, choices: Iterable[str]) -> str:
    """That a choice does not exist, with the nearest and all that do."""
    return f"{key}={name} does not exist.{_nearest(name, choices)} Choose one of: {', '.join(choices)}"


def _nearest(word: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(dict.fromkeys(choices)), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""
