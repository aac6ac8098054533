"""What several processes of one job need when they share a machine. It is free of JAX, for launchers import it."""

import contextlib
import os
import socket
import sys
from collections.abc import Sequence, Set

from podmeta.operating_system import num_cores


def free_port() -> int:
    """A port of the loopback interface that nothing listens at."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def share_of_cores(num_processes: int) -> dict[str, str]:
    """The variable that has XLA start no more threads in each of several processes than there are cores for it."""
    return {"NPROC": str(max(1, num_cores() // num_processes))}


def share_the_machine(process_ids: Sequence[int]) -> None:
    """Has the processes of one job, and the threads that they start from now on, keep out of one another's way.

    Linux only; elsewhere nothing happens.
    """
    if sys.platform != "linux" or len(process_ids) == 1:
        return
    for process_id, cores in zip(process_ids, cores_of_processes(len(process_ids)), strict=True):
        # Gone already, or not allowed here: then it runs as it would without.
        with contextlib.suppress(OSError):
            _let_others_finish(process_id)
            os.sched_setaffinity(process_id, cores)


def cores_of_processes(num_processes: int) -> list[Set[int]]:
    """By process, the cores it is kept to: those of one, or the one of several, where they divide; else all.

    Processes that wait for one another wait for the slowest, so cores must come out even. Left to the kernel, threads
    of 4 processes move between 2 cores 140 times in an update of actor-critic, which takes about a tenth longer.
    """
    cores = sorted(os.sched_getaffinity(0))
    few, many = sorted((len(cores), num_processes))
    if many % few != 0:
        return [set(cores)] * num_processes
    width = max(1, len(cores) // num_processes)
    firsts = [index * len(cores) // num_processes for index in range(num_processes)]
    return [set(cores[first : first + width]) for first in firsts]


def _let_others_finish(process_id: int) -> None:
    """Has a process, and the threads that it starts from now on, not interrupt others when something wakes them.

    Where processes outnumber cores, Gloo's event loops poll without rest during an exchange. By its source they do so
    while another thread holds the lock of a connection, such as a sender that whom it has just woken interrupts. 4
    processes on 2 cores: 6 ms an exchange, and 0.6 ms with this.
    """
    os.sched_setscheduler(process_id, os.SCHED_BATCH, os.sched_param(0))
