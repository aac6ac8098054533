"""`podmeta check throughput`: what the devices reach, from single operations to whole updates.

Whole updates run on up to 8 devices, and everything else on the first. The most telling measurements come first; what
does not fit into the time is left out.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from podmeta.benchmarks.anakin import compile_updates
from podmeta.benchmarks.core import NUM_STEPS, SIZES, gemm_flops_per_second, rolled
from podmeta.benchmarks.measure import best_seconds
from podmeta.checks.base import Figure, Setting
from podmeta.config.compose import compose_job
from podmeta.config.schema import SymmetricConfig
from podmeta.keys import make_key
from podmeta.learners.symmetric import make_symmetric_learner

ENV_STEPS, LSTM_UPDATE, GEMM_FRACTION, MEMORY_FRACTION = (
    "env steps per second",
    "LSTM update",
    "fraction of the GEMM rate",
    "fraction of the memory rate",
)
_ITERATIONS = 1000
_NUM_MEMBERS = 64  # each with a θ of its own, as in evolution
_UPDATES_OF_A_CALL, _CALLS = 2, 3


class Job(NamedTuple):
    """A job whose throughput is measured.

    Attributes:
      overrides: the job.
      size_key: the key of its size.
      environments: parallel environments for each unit of the size.
    """

    overrides: Sequence[str]
    size_key: str
    environments: int


JOBS = {
    "bandit": Job(["experiment=bandit", "outer.lifetimes_per_member=4"], "outer.population_size", 4),
    "ppo_cartpole": Job(["experiment=cartpole_rl"], "outer.num_lifetimes", 1),
    "rl2_cartpole": Job(["experiment=cartpole_recurrent"], "outer.num_lifetimes", 1),
    "gridworld": Job(
        ["experiment=gridworld", "stages=[]", "num_updates=100", "outer.fitness=reward"], "outer.population_size", 4
    ),
}
"""Evolution on bandits and grid-worlds, and RL² and PPO on CartPole."""


def measure(setting: Setting) -> list[Figure]:
    """Measures until the time is over."""
    ceilings = _ceilings(setting)
    figures, left_out, longest = list(ceilings), 0, 0.0
    for point in _points(setting, ceilings):
        start = time.perf_counter()
        if start + longest > setting.deadline:
            left_out += 1
            continue
        figures += point()
        longest = max(longest, time.perf_counter() - start)
    wrong = sum(not 0.0 < figure.value < math.inf for figure in figures)
    return [
        *figures,
        # How fast a machine is depends on what else it does, so only impossible rates are wrong.
        Figure("rates that are not positive numbers", wrong, at_most=0),
        Figure("measurements left out because the time was over", left_out),
    ]


def _ceilings(setting: Setting) -> list[Figure]:
    """What the first device reaches in single operations: what limits everything else."""
    figures = [
        Figure("GEMM", gemm_flops_per_second(setting.gemm_size, dtype) / 1e9, "GFLOP/s", setting={"dtype": dtype})
        for dtype in ("float32", "bfloat16")
    ]
    copied, few = jnp.ones(setting.num_bytes // 4), jnp.ones(64)
    add_one = jax.jit(lambda array: array + 1.0)
    copy_rate = 2 * copied.nbytes / best_seconds(lambda: add_one(copied))
    loop = jax.jit(lambda array: jax.lax.scan(lambda carry, _: (carry * 1.001, None), array, length=_ITERATIONS)[0])
    return [
        *figures,
        Figure("memory", copy_rate / 1e9, "GB/s"),
        Figure("launch of a program", best_seconds(lambda: add_one(few), 100) * 1e6, "µs"),
        Figure("iteration of a loop", best_seconds(lambda: loop(few)) / _ITERATIONS * 1e6, "µs"),
    ]


def _points(setting: Setting, ceilings: Sequence[Figure]) -> Iterator[Callable[[], list[Figure]]]:
    """The measurements in their order, each to be called once."""
    gemm_rate, memory_rate = (
        next(figure.value for figure in ceilings if figure.name == name) * 1e9 for name in ("GEMM", "memory")
    )
    num_devices = setting.num_devices_divided
    for observation_size, num_actions in SIZES:
        size = (observation_size, num_actions)
        yield functools.partial(_core, size, setting.lstm_updates, gemm_rate, memory_rate)
    for num_environments in setting.environments:
        for name in JOBS:
            yield functools.partial(_updates, name, num_environments, 1, num_devices)
    for num_instances in setting.instances:
        yield functools.partial(_updates, "bandit", min(setting.environments), num_instances, num_devices)


def _core(size: tuple[int, int], lstm_updates: int, gemm_rate: float, memory_rate: float) -> list[Figure]:
    """One LSTM update of the symmetric learner, at a number of observation components and actions."""
    observation_size, num_actions = size
    config = SymmetricConfig(activation="rational")
    learner = make_symmetric_learner(config, observation_size, num_actions, 1)
    num_lifetimes = max(1, lstm_updates // (_NUM_MEMBERS * observation_size * num_actions))
    roll = rolled(learner, learner.step, _NUM_MEMBERS, num_lifetimes, observation_size, num_actions)
    seconds = best_seconds(roll) / (_NUM_MEMBERS * num_lifetimes * NUM_STEPS * observation_size * num_actions)
    flops = 2 * config.hidden_size * 4 * config.hidden_size
    states = jax.tree.leaves(jax.eval_shape(learner.initial_state, None, make_key(0)))
    # Each state is read and written at least once.
    num_bytes = 2 * sum(leaf.size * leaf.dtype.itemsize for leaf in states) / (observation_size * num_actions)
    what = {"observations": observation_size, "actions": num_actions}
    return [
        Figure(LSTM_UPDATE, seconds * 1e9, "ns", setting=what),
        Figure(GEMM_FRACTION, flops / seconds / gemm_rate, setting=what),
        Figure(MEMORY_FRACTION, num_bytes / seconds / memory_rate, setting=what),
    ]


def _updates(name: str, num_environments: int, num_instances: int, num_devices: int) -> list[Figure]:
    """Whole updates of a job. There are no figures if they do not fit into the memory."""
    overrides, size_key, environments = JOBS[name]
    size = [f"{size_key}={num_environments // environments}", f"architecture.num_instances={num_instances}"]
    what = {"job": name, "environments": num_environments, "instances": num_instances}
    try:
        updates = compile_updates(compose_job([*overrides, *size]), num_devices, _UPDATES_OF_A_CALL)
        return [Figure(ENV_STEPS, updates.env_steps_per_second(_CALLS), "1/s", setting=what)]
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return []
