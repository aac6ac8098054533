"""When lifetimes that last several updates begin.

Slots are staggered: slot i is i unrolls ahead of slot 0, so that an update covers every part of a lifetime. Updates are
counted from the first of the stage. The functions accept NumPy and JAX arrays.
"""

from typing import Any

Number = Any  # an int, or an array of them


def unrolls_done(update: Number, slots: Number, unrolls_per_lifetime: int) -> Number:
    """The number of unrolls of a slot's lifetime before an update; 0 if a lifetime begins there."""
    return (update + slots) % unrolls_per_lifetime


def lifetimes_begun(update: Number, slots: Number, unrolls_per_lifetime: int) -> Number:
    """The number of lifetimes of a slot before the one of an update. It identifies a lifetime of the slot."""
    return (update + slots % unrolls_per_lifetime) // unrolls_per_lifetime
