"""Starting as one of the processes of a job: JAX's own runtime, told of them or left to find them."""

import ipaddress
import os

import jax

from podmeta.config.schema import DistributedConfig
from podmeta.errors import InputError


def start(config: DistributedConfig) -> None:
    """Joins the other processes of the job, if it has any. It must come before anything touches a device.

    Raises:
      InputError: it is told to look for other processes, and finds nothing that has started them.
    """
    if config.enabled == "off" or (config.enabled == "auto" and not _started_with_others(config)):
        return
    address = config.coordinator_address
    try:
        jax.distributed.initialize(
            coordinator_address=address or None,
            num_processes=config.num_processes or None,
            process_id=config.process_id if config.process_id >= 0 else None,
            coordinator_bind_address=address if _is_loopback(address) else None,
            heartbeat_timeout_seconds=config.heartbeat_s,
        )
    except ValueError as error:  # what JAX makes of an environment in which it knows nobody
        raise InputError(
            "distributed.enabled=on, but JAX finds nothing that has started several processes (SLURM, Open MPI, GKE or "
            "TPU VMs): set distributed.coordinator_address, num_processes and process_id, or distributed.enabled=off"
        ) from error


def _started_with_others(config: DistributedConfig) -> bool:
    """Whether the config, SLURM or Open MPI says that the job has several processes.

    A shell or a batch script inside an allocation has SLURM's variables too, but not those of a step.
    """
    in_step = "SLURM_STEP_ID" in os.environ and "SLURM_PROCID" in os.environ
    by_slurm = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) if in_step else 1
    by_open_mpi = int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1"))
    return bool(config.coordinator_address) or max(by_slurm, by_open_mpi) > 1


def _is_loopback(address: str) -> bool:
    """Whether only processes of this machine can reach an address. Others must not reach what listens there either."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
