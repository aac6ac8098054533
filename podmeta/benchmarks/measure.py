"""Timing, and the lines that a benchmark prints."""

import json
import time
from collections.abc import Callable

import jax

from podmeta.value_types import Json


def report(name: str, setting: dict[str, Json], value: float, unit: str) -> None:
    """Prints one JSON line. The name of a ratio ends in `_speedup`."""
    print(json.dumps({"name": name, "setting": setting, "value": round(value, 4), "unit": unit}), flush=True)


def best_seconds(
    function: Callable[[], object], repeats: int = 5, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The shortest of some calls, after one that is not counted: other work on the machine only ever adds."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        start = clock()
        jax.block_until_ready(function())
        times.append(clock() - start)
    return min(times)
