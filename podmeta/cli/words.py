"""What the commands share: how their words are read, and how JAX is readied."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from podmeta.config.paths import check_local
from podmeta.config.schema import JobConfig

TRUST = "--trust"
"""The word by which a user trusts what somebody else's files say, so that code that they name may run."""


def set_up(job: JobConfig, console: Console) -> None:
    """Readies JAX, which is imported only now: a wrong key must be reported before the seconds that takes."""
    from podmeta.distributed.compilation_cache import use_compilation_cache
    from podmeta.distributed.devices import set_up_devices
    from podmeta.distributed.initialise import start

    start(job.distributed)
    set_up_devices(job.devices.cpu)
    for warning in use_compilation_cache(job.compilation_cache_dir):
        console.print(f"warning: {warning}", markup=False)


def local_path(key: str, path: str) -> Path:
    """The path of a KEY=PATH argument, which must be one of this machine's."""
    return Path(check_local(key, path))


def warning_on(console: Console) -> Callable[[str], None]:
    """What shows a warning of one line."""
    return lambda line: console.print(f"warning: {line}", markup=False)


def wants_help(arguments: list[str]) -> bool:
    """Whether a command's words ask for help."""
    return "--help" in arguments or "-h" in arguments
