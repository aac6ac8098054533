"""The updates that `profile=` names."""

import re
from typing import NamedTuple

from podmeta.errors import InputError

_LARGEST = 2**31 - 1


class ProfiledUpdates(NamedTuple):
    """The updates after `after` up to `last`."""

    after: int
    last: int


def profiled_updates(text: str) -> ProfiledUpdates | None:
    """Reads FROM:TO, such as 100:110; None if the text is empty.

    Raises:
      InputError: it is something else.
    """
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,10}):([0-9]{1,10})", text)
    if found is None or not int(found[1]) < int(found[2]) <= _LARGEST:
        raise InputError(f"profile={text} is not FROM:TO: give two numbers of updates, such as profile=100:110")
    return ProfiledUpdates(int(found[1]), int(found[2]))
