"""What several processes of one job need when they share a machine. It is free of JAX, for launchers import it."""

import os
import socket


def free_port() -> int:
    """A port of the loopback interface that nothing listens at."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def share_of_cores(num_processes: int) -> dict[str, str]:
    """The variable that has XLA start no more threads in each of several processes than there are cores for it."""
    return {"NPROC": str(max(1, len(os.sched_getaffinity(0)) // num_processes))}
