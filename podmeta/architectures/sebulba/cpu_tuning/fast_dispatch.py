"""Calling a program that has effects as quickly as one that has none."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax
from jax import export
from jaxtyping import PyTree


def quickly_called(
    function: Callable[..., PyTree], arguments: tuple[PyTree, ...], donate_argnums: int | tuple[int, ...]
) -> Callable[..., PyTree]:
    """Compiles a function, when it is first called, without telling JAX of its effects.

    Knowing of effects, JAX calls a program by way of Python that takes five times as long (0.15 ms instead of 0.03 for
    twenty arrays), to be able to wait for the effects of programs that have been started. An actor waits for each of
    its programs anyhow. XLA still knows of the effects, and leaves out none and repeats none.

    Args:
      function: what to compile.
      arguments: some that it takes; all others must have their shapes and dtypes.
      donate_argnums: which of them is given up to the result.

    Returns:
      The compiled function.
    """
    # What is exported might go to another process, which would not have what it calls. It stays here.
    targets = set(re.findall(r"custom_call @(\w+)", jax.jit(function).lower(*arguments).as_text()))
    allowed = [export.DisabledSafetyCheck.custom_call(target) for target in targets]
    exported: Any = export.export(jax.jit(function), disabled_checks=allowed)(*arguments)
    return jax.jit(dataclasses.replace(exported, unordered_effects=()).call, donate_argnums=donate_argnums)
