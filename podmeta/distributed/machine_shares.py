"""Shares of this machine for jobs that run beside one another. It is free of JAX, for launchers import it."""

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from podmeta.distributed.one_machine import cores_of_processes, share_of_cores

_FRACTION_OF_GPU = 0.75  # what JAX takes of a GPU's memory by default
_GPU_FILE = re.compile(r"nvidia(\d+)")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class MachineShare(NamedTuple):
    """What one of several jobs may use.

    Attributes:
      cores: the CPU cores that it is kept to, on Linux; empty: any.
      variables: environment variables that keep it to the share.
    """

    cores: Set[int]
    variables: Mapping[str, str]

    def keep_to_cores(self, process_id: int) -> None:
        """Keeps a process, and the threads that it starts from now on, to the cores. Linux only."""
        if sys.platform == "linux" and self.cores:
            with contextlib.suppress(OSError):  # gone already, or not allowed here: then it runs on any
                os.sched_setaffinity(process_id, self.cores)


def shares_of_machine(num_jobs: int) -> list[MachineShare]:
    """The shares of this machine, one for each of several jobs that run at once."""
    cores = cores_of_processes(num_jobs) if sys.platform == "linux" else [frozenset[int]()] * num_jobs
    gpus = variables_of_gpus(num_jobs, visible_gpus())
    return [
        MachineShare(own_cores, share_of_cores(num_jobs) | own_gpus)
        for own_cores, own_gpus in zip(cores, gpus, strict=True)
    ]


def variables_of_gpus(num_jobs: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """By job, the variables that keep it to its part of the GPUs, divided as evenly as whole ones allow.

    If there are more jobs than GPUs, several share one and its memory.

    Args:
      num_jobs: how many jobs run at once.
      gpus: the GPUs, as CUDA names them.
    """
    if not gpus or num_jobs == 1:
        return [{} for _ in range(num_jobs)]
    if num_jobs <= len(gpus):
        firsts = [number * len(gpus) // num_jobs for number in range(num_jobs + 1)]
        return [{_VISIBLE: ",".join(gpus[first:end])} for first, end in itertools.pairwise(firsts)]
    memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_FRACTION_OF_GPU / -(-num_jobs // len(gpus)):.3f}"}
    return [{_VISIBLE: gpus[number % len(gpus)]} | memory for number in range(num_jobs)]


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA names them."""
    named = os.environ.get(_VISIBLE)
    if named is not None:
        return [name for name in named.split(",") if name]
    files = [_GPU_FILE.fullmatch(path.name) for path in Path("/dev").glob("nvidia*")]
    return sorted((match[1] for match in files if match), key=int)
