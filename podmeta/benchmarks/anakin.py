"""`podmeta bench anakin`: env steps per second of whole updates, and what starting costs."""

import dataclasses
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.anakin_session import to_devices
from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.benchmarks.measure import report
from podmeta.config.compose import compose_job
from podmeta.config.schema import JobConfig
from podmeta.distributed.devices import map_over_devices, set_up_devices
from podmeta.outer.base import Metrics
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


class CompiledUpdates(NamedTuple):
    """Updates of a job, compiled for devices of this process.

    Attributes:
      program: the job's program.
      state: what the first call takes, on the devices. A call may take over the memory of what it is given.
      call: state on the devices -> the state after `num_updates` updates, and their metrics.
      num_updates: updates of a call.
      compile_seconds: the time that compiling them took.
    """

    program: Anakin
    state: TrainingState
    call: Callable[[TrainingState], tuple[TrainingState, Metrics]]
    num_updates: int
    compile_seconds: float

    def env_steps_per_second(self, calls: int) -> float:
        """The rate of the fastest of some calls, after one that is not counted."""
        state, metrics = self.call(self.state)
        jax.block_until_ready(metrics)
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            state, metrics = self.call(state)
            jax.block_until_ready(metrics)
            seconds.append(time.perf_counter() - start)
        return self.num_updates * self.program.env_steps_per_update / min(seconds)


def compile_updates(job: JobConfig, num_devices: int, num_updates: int, *, donate: bool = True) -> CompiledUpdates:
    """Compiles calls of `num_updates` updates of a job on Anakin, on the first `num_devices` devices of this process.

    Without `donate`, a state can be passed to several calls.
    """
    program = build_program(job, num_devices)
    assert isinstance(program, Anakin)
    state = to_devices(jax.device_get(jax.jit(program.init)(instance_settings(job))), num_devices)
    mapped = map_over_devices(lambda state: program.run(state, num_updates), DEVICE_AXIS, num_devices, donate=donate)
    start = time.perf_counter()
    compiled = mapped.lower(state).compile()
    return CompiledUpdates(program, state, compiled, num_updates, time.perf_counter() - start)


def _measure(job: JobConfig, experiment: str, overrides: list[str]) -> None:
    num_devices = jax.local_device_count()
    updates = compile_updates(job, num_devices, UPDATES_PER_CALL)
    setting = {
        "experiment": experiment,
        "overrides": overrides,
        "num_devices": num_devices,
        "learner": dataclasses.asdict(job.learner),
    }
    report("anakin_env_steps_per_second", setting, updates.env_steps_per_second(CALLS), "1/s")
    report("anakin_compile_seconds", setting, updates.compile_seconds, "s")
