"""Sets up JAX for a job."""

from collections.abc import Callable

from podmeta.config.schema import JobConfig
from podmeta.distributed.compilation_cache import use_compilation_cache
from podmeta.distributed.devices import set_up_devices
from podmeta.distributed.initialise import start
from podmeta.distributed.xla_flags import use_deterministic_operations


def set_up(job: JobConfig, warn: Callable[[str], None]) -> None:
    """Sets up processes, devices and the compilation cache. Call it before any use of a device.

    Args:
      job: the job.
      warn: shows the user a warning of one line.

    Raises:
      InputError: JAX finds no device, or had started with another number of them; the processes do not meet; or
        XLA's flags contradict the job.
    """
    if job.numerics.deterministic:
        use_deterministic_operations()
    start(job.distributed)
    set_up_devices(job.devices.cpu, job.numerics.matmul_precision)
    for warning in use_compilation_cache(job.compilation_cache_dir):
        warn(warning)
