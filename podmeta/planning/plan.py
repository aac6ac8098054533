"""`podmeta plan`: compiles a job's update for absent devices, and says what it needs and reaches.

The program is the one that training runs. Floating-point operations are counted in it as JAX traces it; memory,
collectives and memory traffic as XLA compiles it.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.config.schema import JobConfig
from podmeta.config.stages import stages_of
from podmeta.distributed.devices import TooLittleMemoryError, absent_gpus, absent_tpus, compile_for
from podmeta.errors import InputError
from podmeta.planning.flops import FlopCount, count_flops
from podmeta.planning.hlo import Collective, Module, collectives, memory_traffic, parse_module
from podmeta.planning.topologies import Topology
from podmeta.training.build import build_program, device_state_shapes

H100_TARGET = """
gpu_device_info {
  name: "NVIDIA H100 80GB HBM3" device_vendor: "NVIDIA Corporation" device_address_bits: 64
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  device_memory_size: 84942979072 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  registers_per_block_limit: 65536 registers_per_core_limit: 65536
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  runtime_version: "13.0.0" driver_version: "13.0.0" compile_time_toolkit_version: "13.0.0" dnn_version: "9.10.0"
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""The H100 (SXM, 80 GB) as XLA must know it to compile for it."""

_LAYOUT_FACTOR = 1.25
"""What laying temporaries out adds to their size. At 131,072 members of `bandit` per v5e it was 1.23."""

_HBM_SPACES = {"tpu": frozenset({0}), "cuda": frozenset({0, 1}), "cpu": frozenset({0})}
"""By platform: the memory spaces of XLA that are main memory. A TPU's others are inside the chip."""


class Memory(NamedTuple):
    """What a program needs of a device's memory, in bytes.

    Attributes:
      arguments: the state that it takes, in the device's layout.
      outputs: what it returns beyond that, such as metrics; the state is returned in place.
      temporaries: what it needs while it runs.
      code: its instructions.
    """

    arguments: int
    outputs: int
    temporaries: int
    code: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


class Roofline(NamedTuple):
    """An upper bound on the speed. A real run stays below it, because env steps wait for one another.

    Attributes:
      seconds: by what an update keeps busy, the shortest time that it takes.
      limited_by: the one that takes longest.
      env_steps_per_second_per_chip: the bound.
      env_steps_per_second: the bound of all chips together.
    """

    seconds: dict[str, float]
    limited_by: str
    env_steps_per_second_per_chip: float
    env_steps_per_second: float


class Costs(NamedTuple):
    """What a job needs on one device.

    Attributes:
      env_steps: of all devices, per update.
      memory: the device's memory.
      flops: per update.
      hbm_traffic_bytes: to and from memory per update.
      collectives: per update; by kind.
    """

    env_steps: int
    memory: Memory
    flops: FlopCount
    hbm_traffic_bytes: float
    collectives: tuple[Collective, ...]


class Fit(NamedTuple):
    """A size of the job, and whether it fits.

    Attributes:
      size: members of the population, or lifetimes, on one device.
      needed_bytes: the memory of the device that it needs, by XLA's account; None if XLA refused it without one.
      fits: whether the device has that much.
    """

    size: int
    needed_bytes: int | None
    fits: bool


class Plan(NamedTuple):
    """A job on a topology.

    Attributes:
      topology: the topology.
      stage: the stage of the job that was planned.
      size_key: the config key that says how much there is to divide over the devices.
      asked_size: its value in the job.
      planned_size: the value that was planned: the next that divides over the devices.
      costs: what the job needs; None if XLA refuses it.
      roofline: the bound on its speed; None if XLA refuses it.
      tried: the sizes that XLA was asked about, the planned one first.
    """

    topology: Topology
    stage: int
    size_key: str
    asked_size: int
    planned_size: int
    costs: Costs | None
    roofline: Roofline | None
    tried: tuple[Fit, ...]

    @property
    def divides(self) -> bool:
        """Whether the job's own size divides over the devices."""
        return self.asked_size == self.planned_size

    @property
    def largest(self) -> int | None:
        """The largest size on one device that fits, of the planned one times a power of two; None if none does."""
        return max((fit.size for fit in self.tried if fit.fits), default=None)


def make_plan(job: JobConfig, topology: Topology, stage: int | None, tell: Callable[[str], None]) -> Plan:
    """Plans a stage of a job, by default its last one.

    Args:
      job: the job.
      topology: what it would run on.
      stage: the number of the stage.
      tell: shows the user a line about what takes time.

    Raises:
      InputError: there is no such stage, or what compiles for the topology is not installed.
    """
    stages = stages_of(job)
    number = len(stages) - 1 if stage is None else stage
    if not 0 <= number < len(stages):
        raise InputError(f"stage={number}: the job has the stages 0 to {len(stages) - 1}")
    chosen = stages[number]
    job = dataclasses.replace(
        job, stages=[], environment=chosen.environment, outer=chosen.outer, num_updates=chosen.num_updates
    )
    devices = _devices(topology)
    per_device, unit, size_key, asked_size = _division(job, topology.num_devices)

    def resized(size: int) -> JobConfig:
        tell(f"compiling for {topology} with {size_key} {size} per device")
        return _sized(job, size * topology.num_devices)

    def fit(size: int) -> Fit:
        needed_bytes = memory_needed(resized(size), devices, topology.product.platform)
        return Fit(size, needed_bytes, needed_bytes is not None and needed_bytes <= topology.product.hbm_bytes)

    costs = None
    try:
        costs = compile_costs(resized(per_device), devices, topology.product.platform)
        own = Fit(per_device, costs.memory.total, costs.memory.total <= topology.product.hbm_bytes)
    except TooLittleMemoryError as error:
        own = Fit(per_device, error.needed_bytes, fits=False)
    return Plan(
        topology=topology,
        stage=number,
        size_key=size_key,
        asked_size=asked_size,
        planned_size=per_device * topology.num_devices,
        costs=costs,
        roofline=make_roofline(costs, topology, job.numerics.matmul_precision) if costs else None,
        tried=find_largest(fit, own, unit, topology.product.hbm_bytes),
    )


def _build_anakin(job: JobConfig, num_devices: int) -> Anakin:
    program = build_program(job, num_devices)
    if not isinstance(program, Anakin):
        raise InputError(
            "podmeta plan compiles whole updates, environments included, so it is for architecture=anakin; what "
            "architecture=sebulba reaches depends on the hosts: measure it with podmeta bench sebulba"
        )
    return program


def compile_costs(job: JobConfig, devices: Sequence[jax.Device], platform: str) -> Costs:
    """Compiles the updates that one call of a job without stages makes, and reads off what one update costs.

    Raises:
      TooLittleMemoryError: it does not fit a device.
    """
    num_devices, num_updates = len(devices), job.architecture.updates_per_call
    program = _build_anakin(job, num_devices)
    shapes = device_state_shapes(job, program, num_devices)
    compiled = compile_for(devices, lambda state: program.run(state, num_updates), DEVICE_AXIS, shapes)
    on_one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shapes)
    trace = jax.make_jaxpr(lambda state: program.run(state, 1), axis_env=[(DEVICE_AXIS, num_devices)])
    text = compiled.as_text()
    assert text is not None  # every platform here prints its programs
    module = parse_module(text)
    return Costs(
        env_steps=program.env_steps_per_update,
        memory=memory_of(compiled),
        flops=count_flops(trace(on_one)),
        hbm_traffic_bytes=memory_traffic(module, _HBM_SPACES[platform]) / num_updates,
        collectives=_per_update(module, num_updates),
    )


def memory_needed(job: JobConfig, devices: Sequence[jax.Device], platform: str) -> int | None:
    """About the bytes of a device's memory that a job without stages needs; None if XLA does not say.

    For a TPU, making the code takes minutes at the sizes that fill its memory. XLA first adds up what the temporaries
    need, and refuses a program that needs more than there is. So its limit is set to next to nothing.
    """
    options = {"xla_tpu_max_hbm_size_mib": "1"} if platform == "tpu" else None
    num_devices = len(devices)
    program = _build_anakin(job, num_devices)
    shapes = device_state_shapes(job, program, num_devices)

    def run(state: TrainingState) -> Any:
        return program.run(state, job.architecture.updates_per_call)

    try:
        return memory_of(compile_for(devices, run, DEVICE_AXIS, shapes, options)).total
    except TooLittleMemoryError as error:
        return None if error.needed_bytes is None else round(error.needed_bytes * _LAYOUT_FACTOR)


def make_roofline(costs: Costs, topology: Topology, matmul_precision: str) -> Roofline:
    """The bound set by the busiest part of a device."""
    peaks, platform = topology.product.peaks, topology.product.platform
    seconds = {
        "matmul": costs.flops.matmul / peaks.matmul_rate(platform, matmul_precision)
        + costs.flops.matmul_bfloat16 / peaks.bfloat16_matmul_rate(platform),
        "hbm": costs.hbm_traffic_bytes / peaks.hbm_bytes_per_second,
        "interconnect": sum(each.sent_bytes for each in costs.collectives) / peaks.interconnect_bytes_per_second,
    }
    if peaks.other_flops_per_second is not None:
        seconds["other_flops"] = costs.flops.other / peaks.other_flops_per_second
    limited_by = max(seconds, key=lambda part: seconds[part])
    rate = costs.env_steps / seconds[limited_by]
    return Roofline(seconds, limited_by, rate / topology.num_chips, rate)


def find_largest(fit: Callable[[int], Fit], first: Fit, unit: int, hbm_bytes: int) -> tuple[Fit, ...]:
    """Finds the largest size that fits, of those that are `first.size` times a power of two.

    Memory grows about linearly, so that the size to ask about next is guessed from the last answer.

    Args:
      fit: asks XLA about a size.
      first: the answer about the first size.
      unit: what every size is a multiple of, and the smallest.
      hbm_bytes: what there is.

    Returns:
      All answers, in order. The largest size that fits and the next, which does not, are among them; or else the unit.
    """
    answers = {first.size: first}
    size = _guess(first, unit, hbm_bytes)
    while size > 0 and size not in answers:
        answers[size] = fit(size)
        size = _guess(answers[size], unit, hbm_bytes)
    return tuple(answers.values())


def _guess(fit: Fit, unit: int, hbm_bytes: int) -> int:
    """The size that would be the largest to fit if memory were proportional to it; at least the next, up or down."""
    doublings = math.floor(math.log2(hbm_bytes / fit.needed_bytes)) if fit.needed_bytes else -1
    if fit.fits:
        return fit.size * 2 ** max(1, doublings)
    return fit.size // 2 ** max(1, -doublings) // unit * unit


def _devices(topology: Topology) -> Sequence[jax.Device]:
    if topology.product.platform == "cuda":
        return absent_gpus(topology.num_devices, H100_TARGET)
    return absent_tpus(str(topology), topology.num_chips)


def _division(job: JobConfig, num_devices: int) -> tuple[int, int, str, int]:
    """The size per device to plan, what it must be a multiple of, its key, and its value in the job."""
    outer = job.outer
    unit = outer.slot_size * outer.slots_multiple
    per_device = -(-outer.size // (num_devices * unit)) * unit
    return per_device, unit, f"outer.{outer.size_key}", outer.size


def _sized(job: JobConfig, size: int) -> JobConfig:
    """The job with another size of the work of an update, such as its population."""
    changes: dict[str, Any] = {job.outer.size_key: size}
    return dataclasses.replace(job, outer=dataclasses.replace(job.outer, **changes))


def memory_of(compiled: jax.stages.Compiled) -> Memory:
    """What a compiled program needs of each device's memory."""
    stats = compiled.memory_analysis()
    assert stats is not None  # every platform here gives them
    return Memory(
        arguments=stats.argument_size_in_bytes,
        outputs=stats.output_size_in_bytes - stats.alias_size_in_bytes,
        temporaries=stats.temp_size_in_bytes,
        code=stats.generated_code_size_in_bytes,
    )


def _per_update(module: Module, num_updates: int) -> tuple[Collective, ...]:
    return tuple(
        each._replace(
            times=each.times // num_updates,
            num_bytes=each.num_bytes // num_updates,
            sent_bytes=each.sent_bytes / num_updates,
        )
        for each in collectives(module)
    )
