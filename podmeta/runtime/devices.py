"""Devices: the only place that names pmap, meshes and `jax.distributed`."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from podmeta.errors import InputError


def set_up_devices(num_cpu_devices: int) -> None:
    """Makes `num_cpu_devices` CPU devices and uses them; 0 leaves the choice to JAX.

    It must come before anything touches a device: XLA reads its settings once.
    """
    if num_cpu_devices == 0:
        return
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", num_cpu_devices)
    found = jax.local_device_count()
    if found != num_cpu_devices:
        raise InputError(
            f"devices.cpu={num_cpu_devices} asked for, but JAX had started with {found}: "
            "set it before anything uses JAX, or start a new process"
        )


def local_devices() -> list[jax.Device]:
    """The devices of this process."""
    return jax.local_devices()


def map_over_devices(function: Callable, axis_name: str, num_devices: int) -> Callable:
    """Compiles a function to run on `num_devices` devices at once; arguments carry a leading device axis.

    Collectives inside it speak of `axis_name`. The first argument's buffers are given up to the result.
    """
    return jax.pmap(function, axis_name=axis_name, devices=local_devices()[:num_devices], donate_argnums=(0,))


def replicate(tree: Any, num_devices: int) -> Any:
    """A copy of every leaf for every device, along a new leading axis."""
    return jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf), (num_devices, *np.shape(leaf))), tree)


def unreplicate(tree: Any) -> Any:
    """The first device's copy, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), tree)
