"""Shares of this machine for jobs that run beside one another. It is free of JAX, for launchers import it."""

import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple, TypeVar

_FRACTION_OF_GPU = 0.75  # what JAX takes of a GPU's memory by default
_GPU_FILE = re.compile(r"nvidia(\d+)")


T = TypeVar("T")


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
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    num_cores = len(cores) or os.cpu_count() or 1
    return make_shares(num_jobs, cores, num_cores, visible_gpus())


def make_shares(num_jobs: int, cores: Sequence[int], num_cores: int, gpus: Sequence[str]) -> list[MachineShare]:
    """Divides cores and GPUs over jobs, as evenly as whole ones allow.

    If there are more jobs than GPUs, several share one and its memory.

    Args:
      num_jobs: how many jobs run at once.
      cores: the cores; none where jobs cannot be kept to some.
      num_cores: how many there are.
      gpus: the GPUs, as CUDA names them.
    """
    shares = []
    for number in range(num_jobs):
        # XLA starts as many threads as this says.
        variables = {"NPROC": str(max(1, num_cores // num_jobs))}
        if gpus and num_jobs > 1:
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(_part(gpus, number, num_jobs))
            num_on_gpu = -(-num_jobs // len(gpus))
            if num_on_gpu > 1:
                variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{_FRACTION_OF_GPU / num_on_gpu:.3f}"
        shares.append(MachineShare(frozenset(_part(cores, number, num_jobs)), variables))
    return shares


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    files = [_GPU_FILE.fullmatch(path.name) for path in Path("/dev").glob("nvidia*")]
    return sorted((match[1] for match in files if match), key=int)


def _part(things: Sequence[T], number: int, num_parts: int) -> Sequence[T]:
    """One of several parts of a sequence; one thing of it where there are more parts than things."""
    if len(things) < num_parts:
        return things[number % len(things) :][:1] if things else things
    return things[number * len(things) // num_parts : (number + 1) * len(things) // num_parts]
