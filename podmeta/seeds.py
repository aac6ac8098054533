"""The seeds that podmeta takes."""

import operator
from typing import SupportsIndex

from podmeta.errors import InputError

LARGEST_SEED = 2**32 - 1
"""JAX's generator takes 32 bits of a seed, and drops the rest without a word: 2^32 would draw what 0 draws."""


def checked_seed(seed: SupportsIndex) -> int:
    """The seed, if every other one draws something else.

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
