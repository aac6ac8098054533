"""How a command readies JAX."""

from podmeta.cli.arguments import Call
from podmeta.config.schema import JobConfig


def set_up(job: JobConfig, call: Call) -> None:
    """Readies JAX, which is imported only now: a wrong key must be reported before the seconds that takes."""
    from podmeta.distributed.compilation_cache import use_compilation_cache
    from podmeta.distributed.devices import set_up_devices
    from podmeta.distributed.initialise import start

    start(job.distributed)
    set_up_devices(job.devices.cpu)
    for warning in use_compilation_cache(job.compilation_cache_dir):
        call.warn(warning)
