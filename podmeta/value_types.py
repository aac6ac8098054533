"""Names of types whose values are only known at run time."""

from typing import Any

Json = Any
"""A value of a JSON or YAML file: None, a boolean, a number, a string, or a list or dictionary of these."""

AnyArray = Any
"""A JAX or NumPy array, or a number, in functions that accept all of them."""

AnyArrays = Any
"""Arrays in dictionaries and tuples, where jaxtyping's PyTree would import JAX."""
