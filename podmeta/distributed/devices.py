"""Devices: the only module that uses pmap and meshes.

A job of several processes maps one function over the devices of all of them. Each process holds the rows of its own
devices, which are the rows that come after those of the processes before it.
"""

import contextlib
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import jax
import numpy as np
from jax.experimental import topologies
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import PyTree

from podmeta.arithmetic import use_own_arithmetic
from podmeta.distributed.libtpu import WITHOUT_A_TPU
from podmeta.errors import InputError, PodmetaError

Tree = TypeVar("Tree")


@runtime_checkable
class MappedFunction(Protocol):
    """What `map_over_devices` makes, which is lowered and compiled before it is called."""

    def lower(self, *arguments: PyTree) -> jax.stages.Lowered:
        """Traces and lowers it for arguments of these shapes and types."""


def set_up_devices(num_cpu_devices: int, matmul_precision: str = "float32") -> None:
    """Makes the CPU appear as `num_cpu_devices` devices, which are used if there is no accelerator.

    Sets podmeta's arithmetic for this process, whatever JAX_ENABLE_X64 and the like say, so that a run always ends at
    the same θ.

    It must come before anything touches a device: XLA reads its settings once. 0 leaves the number to JAX. On a
    machine with an accelerator, JAX_PLATFORMS=cpu chooses the CPU.

    Raises:
      InputError: JAX finds no device, or had started with another number of them.
    """
    use_own_arithmetic(matmul_precision)
    # Sebulba's actors wait for each of their calls: on a CPU, to hand it to another thread costs more than it does.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
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


LESS_MEMORY = "take fewer members or lifetimes, a smaller learner, shorter lifetimes, or more devices"
"""What to do about too little memory."""


@contextlib.contextmanager
def explained_memory_errors() -> Iterator[None]:
    """Turns XLA's error about a device without enough memory into a `PodmetaError` that says what to do."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        message = str(error).splitlines()[0]
        if "RESOURCE_EXHAUSTED" not in message:
            raise
        raise PodmetaError(f"the devices have too little memory ({message}): {LESS_MEMORY}") from error


def map_over_devices(
    function: Callable[..., PyTree], axis_name: str, num_devices: int, *, donate: bool = True
) -> MappedFunction:
    """Compiles a function to run on `num_devices` devices of every process; arguments carry a leading device axis.

    Collectives inside it use `axis_name`. With `donate`, the first argument's buffers are donated. Lower and compile it
    before it is called, so that all processes use the same arrays.
    """
    devices = _devices_of_all_processes(num_devices)
    return jax.pmap(function, axis_name=axis_name, devices=devices, donate_argnums=(0,) if donate else ())


def num_devices_of_all_processes() -> int:
    """The devices of all processes of the job together.

    Raises:
      InputError: the processes have different numbers of them.
    """
    numbers = Counter(device.process_index for device in jax.devices())
    if len(set(numbers.values())) > 1 or len(numbers) < jax.process_count():
        counts = ", ".join(f"process {index} has {numbers[index]}" for index in range(jax.process_count()))
        raise InputError(f"all processes of a job need the same number of devices: {counts}")
    return len(jax.devices())


def _devices_of_all_processes(num_devices: int) -> list[jax.Device]:
    """The first `num_devices` devices of every process, process by process."""
    if jax.process_count() == 1:
        return jax.local_devices()[:num_devices]
    return [
        device
        for index in range(jax.process_count())
        for device in jax.local_devices(process_index=index)[:num_devices]
    ]


def set_up_for_absent_devices(matmul_precision: str = "float32") -> None:
    """Keeps JAX to the CPU here, whatever else it might find, and to podmeta's arithmetic, as `set_up_devices` does.

    It must come before anything touches a device.
    """
    use_own_arithmetic(matmul_precision)
    jax.config.update("jax_platforms", "cpu")


def absent_tpus(topology_name: str, num_chips: int) -> Sequence[jax.Device]:
    """TPUs that are not here: programs can be compiled for them. `topology_name` is such as v5e:2x2.

    Raises:
      InputError: libtpu, which compiles for them, is not installed.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise InputError("compiling for TPUs needs libtpu: pip install 'podmeta[tpu]'")
    for name, value in _WITHOUT_A_SLICE.items():
        os.environ.setdefault(name, value)
    chips_of_a_host = {"chips_per_host_bounds": [1, 1, 1]} if num_chips == 1 else {}  # by default 2x2
    return topologies.get_topology_desc(topology_name, "tpu", **chips_of_a_host).devices


_WITHOUT_A_SLICE = WITHOUT_A_TPU | {"ALLOW_MULTIPLE_LIBTPU_LOAD": "1", "TPU_SKIP_MDS_QUERY": "1"}
"""What keeps libtpu from looking for a TPU, or asking its host about it."""


def absent_gpus(num_devices: int, target: str) -> Sequence[jax.Device]:
    """GPUs of one host that are not here: programs can be compiled for them.

    Args:
      num_devices: how many.
      target: XLA's description of the GPU, a GpuTargetConfigProto as text.

    Raises:
      InputError: JAX's CUDA plugin, which compiles for them, is not installed.
    """
    if importlib.util.find_spec("jax_cuda13_plugin") is None:
        raise InputError("compiling for GPUs needs JAX's CUDA plugin: pip install 'podmeta[plan-cuda]'")
    return topologies.get_topology_desc("", "cuda", target_config=target, topology=f"1x1x{num_devices}").devices


class TooLittleMemoryError(Exception):
    """XLA refuses a program that a device's memory cannot hold.

    Attributes:
      needed_bytes: what its temporaries would need, before they are laid out; None if XLA does not say.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = re.search(r"required for HLO temporaries \(([\d.]+)([BKMGT]?)", message)
        unit = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
        self.needed_bytes = int(float(found[1]) * unit[found[2]]) if found else None


def compile_for(
    devices: Sequence[jax.Device],
    function: Callable[..., PyTree],
    axis_name: str,
    shapes: PyTree,
    compiler_options: dict[str, str] | None = None,
) -> jax.stages.Compiled:
    """What `map_over_devices` would run on `devices`, compiled for arguments of these shapes. They may be absent.

    Raises:
      TooLittleMemoryError: XLA refuses it.
    """
    mapped = jax.pmap(function, axis_name=axis_name, devices=devices, donate_argnums=(0,))
    try:
        return mapped.lower(shapes).compile(compiler_options)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise TooLittleMemoryError(str(error)) from error


def shapes_on_devices(replicated: PyTree, divided: PyTree, num_devices: int) -> tuple[PyTree, PyTree]:
    """Shapes and types of what `replicate` and `divide` make of trees of these shapes."""
    return (
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((num_devices, *leaf.shape), leaf.dtype), replicated),
        jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((num_devices, leaf.shape[0] // num_devices, *leaf.shape[1:]), leaf.dtype),
            divided,
        ),
    )


def replicate(tree: Tree, axis_name: str, num_devices: int) -> Tree:
    """A copy of every leaf on every device, along a new leading axis, laid out as `map_over_devices` returns it."""
    return jax.tree.map(
        lambda leaf: _put(np.broadcast_to(np.asarray(leaf), (num_devices, *np.shape(leaf))), axis_name), tree
    )


def divide(tree: Tree, axis_name: str, num_devices: int) -> Tree:
    """Divides the leading axis of every leaf over the devices: [n, ...] becomes [d, n / d, ...].

    Every process is given all n rows, and puts those of its own `num_devices` devices there.
    """
    first, total = jax.process_index() * num_devices, jax.process_count() * num_devices

    def divided(leaf: ArrayLike) -> jax.Array:
        # The rows of each device are counted, not left to -1: a leaf without elements, such as no walls, has rows too.
        shape = np.shape(leaf)
        by_device = np.asarray(leaf).reshape(total, shape[0] // total, *shape[1:])
        return _put(by_device[first : first + num_devices], axis_name)

    return jax.tree.map(divided, tree)


def join(tree: Tree) -> Tree:
    """What `divide` has divided, whole again and on the host.

    It is a collective: in a job of several processes, all must call it at once.
    """
    whole = jax.tree.map(np.asarray, tree) if jax.process_count() == 1 else process_allgather(tree, tiled=True)
    return jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), whole)


def unreplicate(tree: Tree) -> Tree:
    """The copy of this process's first device, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], local_copy(tree, 0))


def local_copy(tree: Tree, index: int) -> Tree:
    """The copy [1, ...] of one of this process's devices, where it is. Nothing moves."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(index), tree)


def join_shards(shards: Sequence[Tree], axis_name: str) -> Tree:
    """Trees of arrays [1, ...], one on each of this process's first devices, as one tree of arrays [d, ...].

    Nothing moves. In a job of several processes the d devices are those of all, and each process holds its own rows.
    """
    if len(shards) * jax.process_count() == 1:
        return shards[0]  # the same arrays, and to say so of each takes long
    sharding = _over_devices(axis_name, len(shards))

    def join_leaf(*leaves: jax.Array) -> jax.Array:
        shape = (len(leaves) * jax.process_count(), *leaves[0].shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, list(leaves))

    return jax.tree.map(join_leaf, *shards)


def _put(array: np.ndarray, axis_name: str) -> jax.Array:
    """Puts a slice of the leading axis on each of this process's first devices. It is not a collective."""
    sharding = _over_devices(axis_name, len(array))
    shape = (len(array) * jax.process_count(), *array.shape[1:])
    return jax.make_array_from_process_local_data(sharding, array, shape)


def _over_devices(axis_name: str, num_devices: int) -> NamedSharding:
    mesh = Mesh(np.array(_devices_of_all_processes(num_devices)), (axis_name,))
    return NamedSharding(mesh, PartitionSpec(axis_name))
