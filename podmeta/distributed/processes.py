"""Communication between the processes of a job, besides the exchanges of their devices within an update.

Everything here is a collective: all processes must call it, in the same order, from the thread that launches updates.
In a job of one process, it returns the process's own value.
"""

import hashlib
import pickle
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather
from jaxtyping import Float, UInt8

import podmeta
from podmeta.errors import InputError, PodmetaError
from podmeta.storage.provenance import installed_packages

T = TypeVar("T")

_HOST_NAME_BYTES = 64
_VALUE, _INPUT_ERROR, _ERROR = range(3)


def is_first() -> bool:
    """Whether this is the process that writes the run directory and talks to the user."""
    return jax.process_index() == 0


def largest(*values: int) -> tuple[int, ...]:
    """By argument, the largest value that any process gives."""
    if jax.process_count() == 1:
        return values
    return tuple(int(value) for value in process_allgather(np.array(values, np.int32)).max(axis=0))


def gather(values: Mapping[str, float]) -> dict[str, Float[np.ndarray, "num_processes"]]:
    """By name, the value that each process gives, in float32. All must give the same names."""
    own = np.array([values[name] for name in sorted(values)], np.float32)
    everyone = own[None] if jax.process_count() == 1 else process_allgather(own)
    return {name: everyone[:, index] for index, name in enumerate(sorted(values))}


def from_first(make: Callable[[], T]) -> T:
    """What `make` returns in the first process, where alone it is called; any value that can be pickled.

    Raises:
      PodmetaError: `make` has raised one. The first process raises that, the others say where it is shown.
    """
    if jax.process_count() == 1:
        return make()
    kind, message, raised = _VALUE, b"", None
    if is_first():
        try:
            message = pickle.dumps(make())
        except PodmetaError as error:
            kind, raised = _INPUT_ERROR if isinstance(error, InputError) else _ERROR, error
    kind, length = broadcast_one_to_all(np.array([kind, len(message)], np.int32)).tolist()
    if raised is not None:
        raise raised
    if kind != _VALUE:
        error_type = InputError if kind == _INPUT_ERROR else PodmetaError
        raise error_type("process 0 of this job has stopped it, and says why")
    content = np.frombuffer(message, np.uint8) if is_first() else np.zeros(length, np.uint8)
    return pickle.loads(broadcast_one_to_all(content).tobytes())  # the processes of a job run one another's code anyway


def check_alike(config_text: str) -> None:
    """Checks that all processes run the same code, with the same packages, for the same config.

    Args:
      config_text: the job's config, without what differs between processes of one job.

    Raises:
      InputError: they do not, in every process; it names the first that differs.
    """
    if jax.process_count() == 1:
        return
    parts = {"config": config_text.encode(), "code": _code(), "packages": _packages()}
    digests = {name: np.frombuffer(hashlib.sha256(part).digest(), np.uint8) for name, part in parts.items()}
    everyone = process_allgather({"host": _host_name(), **digests})
    for name in parts:
        differing = np.flatnonzero((everyone[name] != everyone[name][0]).any(axis=1))
        if differing.size:
            hosts = [bytes(host).rstrip(b"\0").decode() for host in everyone["host"]]
            index = int(differing[0])
            described = [f"{name} {_hexadecimal(everyone[name][each])} on {hosts[each]}" for each in (0, index)]
            raise InputError(f"process 0 has {described[0]}, but process {index} has {described[1]}: {_CURES[name]}")


_CURES = {
    "config": "start all processes with the same command line",
    "code": "install the same version of podmeta on every host",
    "packages": "install the versions of constraints.txt on every host",
}


def _code() -> bytes:
    """The source of podmeta, one file after the other."""
    root = Path(podmeta.__file__).parent
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    return b"".join(name.encode() + b"\0" + (root / name).read_bytes() + b"\0" for name in files)


def _packages() -> bytes:
    """The versions of what computes."""
    versions = installed_packages()
    return repr([versions.get(name) for name in _COMPUTING_PACKAGES]).encode()


_COMPUTING_PACKAGES = (
    "jax",
    "jaxlib",
    "numpy",
    "dm-haiku",
    "optax",
    "rlax",
    "distrax",
    "chex",
    "gymnax",
    "brax",
    "xminigrid",
)


def _host_name() -> UInt8[np.ndarray, "_"]:
    name = socket.gethostname().encode()[:_HOST_NAME_BYTES]
    return np.frombuffer(name.ljust(_HOST_NAME_BYTES, b"\0"), np.uint8)


def _hexadecimal(digest: Any) -> str:
    return bytes(digest).hex()[:12]
