"""Valid seeds."""

import operator
from typing import SupportsIndex

from podmeta.errors import InputError

LARGEST_SEED = 2**32 - 1
"""JAX's generator silently uses only 32 bits of a seed: 2^32 would draw the same numbers as 0."""


def checked_seed(seed: SupportsIndex) -> int:
    """The seed, checked to lie in the range in which seeds have different draws.

    Raises:
      InputError: it is negative, 2^32 or more, or no whole number.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= LARGEST_SEED:
        raise InputError(f"seed={seed} is not a whole number from 0 to {LARGEST_SEED}: choose one of these")
    return number
