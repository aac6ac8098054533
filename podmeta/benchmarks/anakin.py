"""`podmeta bench anakin`: env steps per second of whole updates, and what starting costs."""

import dataclasses
import time

import jax

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.anakin_session import to_devices
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.benchmarks.measure import report
from podmeta.config.compose import compose_job
from podmeta.config.schema import JobConfig
from podmeta.distributed.devices import map_over_devices, set_up_devices
from podmeta.training.build import build_program, instance_settings

UPDATES_PER_CALL = 10
CALLS = 5
LARGER = [
    "environment=contextual_bandit",
    "environment.num_contexts=32",
    "environment.num_actions=4",
    "environment.lifetime_length=20",
    "evaluation.settings=[{}]",
]
"""32 observation components and 4 actions, with which the learner states of all members fit no cache."""


def bench_anakin() -> None:
    """Measures the experiments `bandit` (also at rank 1, with the exact tanh, by MetaRNN, larger) and `cartpole`."""
    set_up_devices(compose_job(["experiment=bandit"]).devices.cpu)
    for experiment, overrides in [
        ("bandit", []),
        ("bandit", ["outer.noise_rank=1"]),
        ("bandit", ["learner.activation=tanh"]),
        ("bandit", ["learner=recurrent"]),
        ("cartpole", []),
        ("bandit", LARGER),
        ("bandit", [*LARGER, "architecture.rows_at_once=16"]),
    ]:
        _measure(compose_job([f"experiment={experiment}", *overrides]), experiment, overrides)


def _measure(job: JobConfig, experiment: str, overrides: list[str]) -> None:
    num_devices = jax.local_device_count()
    program = build_program(job, num_devices)
    assert isinstance(program, Anakin)
    state = to_devices(jax.device_get(program.init(instance_settings(job))), num_devices)
    mapped = map_over_devices(lambda state: program.run(state, UPDATES_PER_CALL), DEVICE_AXIS, num_devices)
    start = time.perf_counter()
    compiled = mapped.lower(state).compile()
    compile_seconds = time.perf_counter() - start

    state, metrics = compiled(state)
    jax.block_until_ready(metrics)
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        state, metrics = compiled(state)
        jax.block_until_ready(metrics)
        seconds.append(time.perf_counter() - start)
    setting = {
        "experiment": experiment,
        "overrides": overrides,
        "num_devices": num_devices,
        "learner": dataclasses.asdict(job.learner),
    }
    report(
        "anakin_env_steps_per_second", setting, UPDATES_PER_CALL * program.env_steps_per_update / min(seconds), "1/s"
    )
    report("anakin_compile_seconds", setting, compile_seconds, "s")
