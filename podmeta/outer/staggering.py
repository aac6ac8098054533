"""When lifetimes begin that last several updates.

Slots are staggered: slot i is i unrolls ahead of slot 0, so that an update sees every part of a lifetime. Updates are
counted from the first of the stage. Functions take NumPy's arrays and JAX's alike.
"""

from typing import Any

Number = Any  # an int, or an array of them


def unrolls_done(update: Number, slots: Number, unrolls_per_lifetime: int) -> Number:
    """Unrolls of a slot's lifetime before that of an update; 0 where a lifetime begins."""
    return (update + slots) % unrolls_per_lifetime


def lifetimes_begun(update: Number, slots: Number, unrolls_per_lifetime: int) -> Number:
    """Lifetimes of a slot that have begun before that of an update. Two lifetimes of a slot have different numbers."""
    return (update + slots % unrolls_per_lifetime) // unrolls_per_lifetime
