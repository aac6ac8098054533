"""One process of `podmeta bench scaling`: times a job's update, and that update's exchanges between devices alone."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.anakin_session import to_devices
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.benchmarks.scaling import Measurement
from podmeta.config.compose import compose_job
from podmeta.config.schema import JobConfig
from podmeta.distributed import initialise
from podmeta.distributed.children import end_with_parent
from podmeta.distributed.devices import map_over_devices, replicate, set_up_devices
from podmeta.distributed.processes import from_first, is_first
from podmeta.planning.hlo import Collective, collectives, parse_module
from podmeta.training.build import build_program, instance_settings

UPDATES_PER_CALL = 5
CALLS = 5


def main(overrides: list[str]) -> None:
    """Measures, and prints it as one JSON line in the first process of the job."""
    end_with_parent()
    job = compose_job(overrides)
    initialise.start(job.distributed)
    set_up_devices(job.devices.cpu, job.numerics.matmul_precision)
    measurement = measure(job)
    if is_first():
        print(json.dumps(measurement._asdict()), flush=True)
    initialise.finish()


def measure(job: JobConfig) -> Measurement:
    """Times the job's update on all devices of all processes. All processes must call it."""
    num_devices = jax.local_device_count()
    program = build_program(job, num_devices)
    assert isinstance(program, Anakin)
    state = to_devices(jax.device_get(program.init(instance_settings(job))), num_devices)
    update = map_over_devices(lambda state: program.run(state, UPDATES_PER_CALL), DEVICE_AXIS, num_devices)
    compiled = update.lower(state).compile()
    exchanges = collectives(parse_module(compiled.as_text() or ""))

    seconds = _best_seconds(lambda state: compiled(state)[0], state)
    return Measurement(
        seconds / UPDATES_PER_CALL,
        _collective_seconds(exchanges, num_devices) / UPDATES_PER_CALL,
        sum(exchange.num_bytes for exchange in exchanges) // UPDATES_PER_CALL,
    )


def _collective_seconds(exchanges: list[Collective], num_devices: int) -> float:
    """Seconds of exchanges of the same kinds, sizes and numbers as those given, one after the other."""
    if not exchanges:
        return 0.0
    number = num_devices * jax.process_count()

    def zeros(exchange: Collective) -> np.ndarray:
        num_floats = exchange.num_bytes // exchange.times // 4
        share = max(1, num_floats // number)
        shape = {"all-gather": (share,), "all-to-all": (number, share)}.get(exchange.name, (max(1, num_floats),))
        return np.zeros(shape, np.float32)

    def repeat(exchange: Collective, operand: jax.Array) -> jax.Array:
        def once(operand: jax.Array, _: None) -> tuple[jax.Array, None]:
            if exchange.name == "all-gather":
                whole = jax.lax.all_gather(operand, DEVICE_AXIS)
                return jnp.take(whole, (jax.lax.axis_index(DEVICE_AXIS) + 1) % number, axis=0), None
            if exchange.name == "all-to-all":
                return jax.lax.all_to_all(operand, DEVICE_AXIS, split_axis=0, concat_axis=0), None
            return jax.lax.psum(operand, DEVICE_AXIS) / number, None

        return jax.lax.scan(once, operand, length=exchange.times)[0]

    def exchange_all(operands: list[jax.Array]) -> list[jax.Array]:
        return [repeat(*each) for each in zip(exchanges, operands, strict=True)]

    on_devices = replicate([zeros(exchange) for exchange in exchanges], DEVICE_AXIS, num_devices)
    compiled = map_over_devices(exchange_all, DEVICE_AXIS, num_devices).lower(on_devices).compile()
    return _best_seconds(compiled, on_devices)


def _best_seconds(step: Callable[[Any], Any], state: Any) -> float:
    """The shortest of some calls, each of which is given what the one before returns. The first is not counted."""
    state = jax.block_until_ready(step(state))
    seconds = []
    for _ in range(CALLS):
        from_first(lambda: None)  # all processes begin at once
        start = time.perf_counter()
        state = jax.block_until_ready(step(state))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
