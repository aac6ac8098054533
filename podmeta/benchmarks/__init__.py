"""The benchmarks of `podmeta bench`. This module needs no JAX; a benchmark's own is imported when it runs."""

import importlib
from collections.abc import Callable

BENCHMARKS = {
    "core": "the symmetric learner's step, fast form and plain form, against the machine's own GEMM",
    "learners": "unrolls and updates of the LSTM, the GRU, s5 and gtrxl, over 128, 512 and 2,048 env steps",
    "anakin": "env steps per second of whole updates, and what starting costs",
    "sebulba": "env steps per second of whole runs, and of their parts alone",
    "checks": "what it costs to check that host environments keep to their contract",
    "agent": "the time an agent of a learned algorithm takes for a step",
    "saves": "what checkpoints of a large state cost a job, written in the background or waited for",
    "memory": "the memory of an actor-critic update, with and without checkpointed chunks",
    "scaling": "what it costs to spread an update over more devices and processes of this machine",
}
"""What each benchmark measures. `name` is the function `bench_name` of the module `podmeta.benchmarks.name`."""


def load_benchmark(name: str) -> Callable[[], None]:
    """The benchmark of a name, which prints JSON lines."""
    benchmark: Callable[[], None] = getattr(importlib.import_module(f"podmeta.benchmarks.{name}"), f"bench_{name}")
    return benchmark
