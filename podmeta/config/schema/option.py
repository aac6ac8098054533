"""One config key."""

import dataclasses
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A config key: its default, its meaning, and its valid values.

    Args:
      default: the default.
      help: what the key means.
      minimum: the smallest value allowed (of each element of a list).
      above: a lower bound that is itself not allowed.
      maximum: the largest value allowed.
      choices: the words allowed; () allows all.
    """
    metadata = {"help": help, "minimum": minimum, "above": above, "maximum": maximum, "choices": choices}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def lifetime_length_option(default: int) -> Any:
    """The key `lifetime_length` of an environment, with its default."""
    return option(default, "T: env steps in a lifetime, on one task, over as many episodes as fit", minimum=1)
