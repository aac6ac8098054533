"""`podmeta bench checks`: what it costs to check that host environments keep to their contract.

Everything is measured in CPU time of the whole process, because other work on the machine would count in seconds.
"""

import itertools
import time
from collections.abc import Callable, Iterator

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, UInt32

from podmeta.architectures.sebulba.actor_programs import make_actor_programs
from podmeta.architectures.sebulba.functions import Sebulba
from podmeta.benchmarks.measure import best_seconds, report
from podmeta.config.compose import compose_job
from podmeta.config.stages import environments_of
from podmeta.distributed.devices import set_up_devices
from podmeta.environments.contract import LAST, MID, checked_scalars
from podmeta.environments.host.base import Actions, HostEnvironment
from podmeta.environments.host.checked import Checked
from podmeta.environments.host.registry import lives_on_host, make_host_environment
from podmeta.exits import ExitsRaise
from podmeta.training.build import build_program, instance_settings

NUM_ENVIRONMENTS = 32
STEPS_OF_A_CALL = 10  # short, so that some calls have a core to themselves on a machine that others use too
WITH_ENVPOOL, WITH_GYMNASIUM = "environment=envpool_cartpole", "environment=gymnasium/CartPole-v1"
REPEATS = 500


def bench_checks() -> None:
    """Measures the checks of a batch of CartPoles alone, and a whole step of an actor from Python.

    Environments in Python, such as Gymnasium's, need checks of each time step as well.
    """
    set_up_devices(1)
    setting = {"num_environments": NUM_ENVIRONMENTS}
    envpool, gymnasium = _actor_step_seconds(WITH_ENVPOOL), _actor_step_seconds(WITH_GYMNASIUM)
    batch = _seconds(_stepper(Checked(_Recorded()))) - _seconds(_stepper(_Recorded()))
    timestep = dm_env.transition(reward=1.0, observation=np.zeros(4, np.float32))
    rows = _seconds(lambda: _check_rows(timestep))
    report("actor_step_with_envpool", setting, envpool * 1e6, "us")
    report("actor_step_with_gymnasium", setting, gymnasium * 1e6, "us")
    report("checks_of_a_batch", setting, batch * 1e6, "us")
    report("checks_of_its_rows", setting, rows * 1e6, "us")
    report("checks_share_with_envpool", setting, batch / envpool, "1")
    report("checks_share_with_gymnasium", setting, (batch + rows) / gymnasium, "1")


def _check_rows(timestep: dm_env.TimeStep) -> None:
    """As a batch of Python environments is checked in each step."""
    with ExitsRaise():
        for _ in range(NUM_ENVIRONMENTS):
            checked_scalars(timestep)


def _seconds(step: Callable[[], object]) -> float:
    """CPU seconds of one step: the shortest of several calls of many."""

    def steps() -> None:
        for _ in range(STEPS_OF_A_CALL):
            step()

    return best_seconds(steps, REPEATS, time.process_time) / STEPS_OF_A_CALL


def _stepper(environment: HostEnvironment) -> Callable[[], object]:
    every, actions = np.ones(NUM_ENVIRONMENTS, bool), np.zeros(NUM_ENVIRONMENTS, np.int32)
    environment.reset(every, np.arange(NUM_ENVIRONMENTS, dtype=np.uint32))
    return lambda: environment.step(actions)


def _actor_step_seconds(environment: str) -> float:
    """Inference and environments, as an actor calls them from Python."""
    of_one_actor = (f"outer.num_lifetimes={NUM_ENVIRONMENTS}", "architecture.actor_threads=1")
    job = compose_job(["experiment=sebulba_cartpole", environment, *of_one_actor])
    program, (config,) = build_program(job, num_devices=1), environments_of(job.environment)
    assert isinstance(program, Sebulba) and lives_on_host(config)
    programs, outer = make_actor_programs(program), program.init(instance_settings(job)).outer
    meta_params, (keys,), (seeds,) = programs.actor_params(program.outer_loop.actor_view(outer), 0, program.slots[0])
    with make_host_environment(config, NUM_ENVIRONMENTS) as batch:
        timestep = batch.reset(np.ones(NUM_ENVIRONMENTS, bool), np.asarray(seeds))
        state = programs.entries[0].init(meta_params, keys, timestep)

        def step() -> None:
            nonlocal state, timestep
            state, actions = programs.entries[0].act(meta_params, state, timestep)
            timestep = batch.step(np.asarray(actions))

        return _seconds(step)


class _Recorded(HostEnvironment):
    """CartPoles that were recorded: an episode of 20 steps again and again, which takes no time."""

    def __init__(self) -> None:
        super().__init__("recorded", NUM_ENVIRONMENTS)
        self._timesteps = self._recording()

    def observation_spec(self) -> specs.Array:
        return specs.Array((4,), np.float32)

    def action_spec(self) -> specs.DiscreteArray:
        return specs.DiscreteArray(2)

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        return next(self._timesteps)

    def step(self, actions: Actions) -> dm_env.TimeStep:
        return next(self._timesteps)

    def close(self) -> None:
        pass

    def _recording(self) -> Iterator[dm_env.TimeStep]:
        ones = np.ones(NUM_ENVIRONMENTS, np.float32)
        observation = np.random.default_rng(0).normal(size=(NUM_ENVIRONMENTS, 4)).astype(np.float32)
        step_types = [0, *[MID] * 18, LAST]
        return itertools.cycle(
            [
                dm_env.TimeStep(np.full(NUM_ENVIRONMENTS, step_type, np.int32), ones, ones, observation)
                for step_type in step_types
            ]
        )
