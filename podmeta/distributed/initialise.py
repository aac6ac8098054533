"""The processes of a job on many hosts: how one joins the others, leaves with them, or without them.

JAX's distributed runtime connects them. Their communication is in processes.py.
"""

import contextlib
import ipaddress
import os
from collections.abc import Iterator

import jax

from podmeta.config.schema import DistributedConfig
from podmeta.errors import InputError, PodmetaError


def start(config: DistributedConfig) -> None:
    """Joins the other processes of the job, if it has any. Call it before any use of a device.

    Raises:
      InputError: the config asks for other processes, but none can be found.
    """
    if config.enabled == "off" or (config.enabled == "auto" and not _started_with_others(config)):
        return
    address = config.coordinator_address
    # JAX's service would swallow every SIGTERM from here on, also one that comes before training can stop for it.
    jax.config.update("jax_enable_preemption_service", False)
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


def has_joined_others() -> bool:
    """Whether this process has joined the others of its job, and not left them."""
    return jax.distributed.is_initialized()


def finish() -> None:
    """Leaves the other processes once all of them have called this."""
    if has_joined_others():
        jax.distributed.shutdown()


@contextlib.contextmanager
def explained_losses() -> Iterator[None]:
    """Converts JAX's error about a lost process into a `PodmetaError` of one line."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not is_about_a_loss(error):
            raise
        raise PodmetaError(
            "another process of this job has ended, and has printed why if it could; the last checkpoint is intact: "
            "start all processes again to resume from it"
        ) from error


def is_about_a_loss(error: BaseException) -> bool:
    """Whether JAX's error means that another process of the job is gone."""
    # A failed launch is a ValueError, and a failed result a JaxRuntimeError.
    by_jax = isinstance(error, jax.errors.JaxRuntimeError | ValueError)
    return by_jax and jax.process_count() > 1 and any(sign in str(error) for sign in _SIGNS_OF_A_LOSS)


_SIGNS_OF_A_LOSS = ("Gloo", "UNAVAILABLE:", "DEADLINE_EXCEEDED:")


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
