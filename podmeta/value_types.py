"""Names of types whose values are only known when a program runs."""

from typing import Any

Json = Any
"""A value of a JSON or YAML file: None, a boolean, a number, a text, or a list or dictionary of such."""

AnyArray = Any
"""An array of JAX or of NumPy, or a number, in functions that are written once for all of them."""

AnyArrays = Any
"""Arrays in dictionaries and tuples, where jaxtyping's PyTree would import JAX."""
