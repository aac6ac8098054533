"""Devices: the only place that names pmap, meshes and `jax.distributed`."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from podmeta.errors import InputError, PodmetaError


def set_up_devices(num_cpu_devices: int) -> None:
    """Makes the machine's CPU appear as `num_cpu_devices` devices, which are used where there is no accelerator.

    It must come before anything touches a device: XLA reads its settings once. 0 leaves the number to JAX. On a
    machine with an accelerator, JAX_PLATFORMS=cpu chooses the CPU.

    Raises:
      InputError: JAX finds no device, or had started with another number of them.
    """
    if num_cpu_devices > 0:
        with contextlib.suppress(RuntimeError):  # JAX has started: whether with the right number is seen below
            jax.config.update("jax_num_cpu_devices", num_cpu_devices)
    found = _count_local_devices()
    if jax.default_backend() == "cpu" and num_cpu_devices not in (0, found):
        raise InputError(
            f"devices.cpu={num_cpu_devices}, but JAX had started with {found} devices: set it in a new process"
        )


def _count_local_devices() -> int:
    try:
        return jax.local_device_count()
    # AssertionError: what JAX makes of a platform for which no plugin is installed.
    except (RuntimeError, AssertionError) as error:
        platforms = jax.config.values["jax_platforms"]
        asked = f"JAX_PLATFORMS={platforms}" if platforms else "JAX"
        reason = f" ({str(error).splitlines()[0]})" if str(error) else ""
        raise InputError(
            f"{asked} finds no device here{reason}: install what drives it, such as podmeta[cuda] or podmeta[tpu], or "
            "choose the CPU with JAX_PLATFORMS=cpu"
        ) from error


def describe_devices() -> list[str]:
    """The devices of this process, in words."""
    return [f"{device.device_kind} {device.id} ({device.platform})" for device in jax.local_devices()]


@contextlib.contextmanager
def explained_memory_errors(cure: str) -> Iterator[None]:
    """Turns XLA's error about a device without enough memory into a `PodmetaError` that says what to do."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        message = str(error).splitlines()[0]
        if "RESOURCE_EXHAUSTED" not in message:
            raise
        raise PodmetaError(f"the devices have too little memory ({message}): {cure}") from error


def map_over_devices(function: Callable, axis_name: str, num_devices: int) -> Any:
    """Compiles a function to run on `num_devices` devices at once; arguments carry a leading device axis.

    Collectives inside it speak of `axis_name`. The first argument's buffers are given up to the result.
    """
    return jax.pmap(function, axis_name=axis_name, devices=jax.local_devices()[:num_devices], donate_argnums=(0,))


def replicate(tree: Any, axis_name: str, num_devices: int) -> Any:
    """A copy of every leaf on every device, along a new leading axis, laid out as `map_over_devices` returns it."""
    return jax.tree.map(
        lambda leaf: _put(np.broadcast_to(np.asarray(leaf), (num_devices, *np.shape(leaf))), axis_name), tree
    )


def divide(tree: Any, axis_name: str, num_devices: int) -> Any:
    """Divides the leading axis of every leaf over the devices: [n, ...] becomes [num_devices, n / num_devices, ...]."""

    def divided(leaf: Any) -> jax.Array:
        # The rows of each device are counted, not left to -1: a leaf without elements, such as no walls, has rows too.
        shape = np.shape(leaf)
        return _put(np.asarray(leaf).reshape(num_devices, shape[0] // num_devices, *shape[1:]), axis_name)

    return jax.tree.map(divided, tree)


def join(tree: Any) -> Any:
    """What `divide` has divided, whole again and on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), tree)


def unreplicate(tree: Any) -> Any:
    """The first device's copy, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_shards[0].data)[0], tree)


def _put(array: np.ndarray, axis_name: str) -> jax.Array:
    """Puts a slice of the leading axis on each device."""
    mesh = Mesh(np.array(jax.local_devices()[: len(array)]), (axis_name,))
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(axis_name)))
