"""`podmeta bench sebulba`: env steps per second of whole runs, and of their three parts alone, in one process.

Where all parts share the same cores, a run cannot do better than 1 / (1/e + 1/i + 1/l), of the rates of environments
(e), inference (i) and learning (l) by themselves. What a run reaches of that is what the architecture does not waste.
Environments that a run steps within its actors' programs are stepped within a program here as well; and once more from
Python, as their users do and as other trainers must.

A machine that others use too is faster at one time than at another. Parts and whole are therefore measured in turns,
and the median of several is reported.
"""

import dataclasses
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import dm_env
import jax
import numpy as np
from dm_env import specs

from podmeta.architectures.base import DEVICE_AXIS
from podmeta.architectures.sebulba.actor_programs import make_actor_programs
from podmeta.architectures.sebulba.cpu_tuning.cores import SharedCores
from podmeta.architectures.sebulba.functions import Sebulba
from podmeta.architectures.sebulba.layout import make_layout
from podmeta.architectures.sebulba.session import SebulbaSession
from podmeta.benchmarks.measure import report
from podmeta.config.compose import compose_job
from podmeta.config.schema import JobConfig, SebulbaConfig
from podmeta.config.stages import environments_of
from podmeta.distributed.devices import join_shards, map_over_devices, replicate, set_up_devices
from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.registry import lives_on_host, make_host_environment
from podmeta.training.build import build_program, instance_settings

SECONDS_OF_A_PART = 2.0
TURNS = 5
STEPS_OF_A_CALL = 128
FEED_FORWARD = ["learner.cell=none", "learner.torso_layers=[64,64]"]
ONE_EPOCH = ["outer.num_epochs=1", "outer.num_minibatches=1"]
SYMMETRIC = ["learner=symmetric", "learner.state_noise=0.1", "outer.unroll_length=32", *ONE_EPOCH]
FOUR_EPOCHS = ["outer.num_epochs=4", "outer.num_minibatches=4"]


def bench_sebulba() -> None:
    """Measures CartPole and Pong: actor batches, threads, learners."""
    set_up_devices(1)
    for num_environments, threads in [(32, 2), (32, 1), (32, 4), (64, 2), (128, 2)]:
        _measure("sebulba_cartpole", num_environments, threads, [*FEED_FORWARD, *ONE_EPOCH], TURNS)
    _measure("sebulba_cartpole", 32, 2, [*FEED_FORWARD, *FOUR_EPOCHS], TURNS)
    _measure("sebulba_cartpole", 32, 2, SYMMETRIC, TURNS)
    # Their updates take so long that one turn is an average over much of what the machine may be like.
    _measure("sebulba_pong", 32, 1, [], turns=1)
    _measure("sebulba_pong_ram", 32, 1, [], turns=1)


class Parts(NamedTuple):
    """Env steps per second of the parts of a run, each by itself."""

    environments: float
    inference: float
    learner: float

    @property
    def bound(self) -> float:
        """What a run of them cannot exceed, for all share the same cores."""
        return 1.0 / sum(1.0 / rate for rate in self)


def _measure(experiment: str, num_environments: int, threads: int, overrides: list[str], turns: int) -> None:
    sizes = [f"outer.num_lifetimes={num_environments * threads}", f"architecture.actor_threads={threads}"]
    job = compose_job([f"experiment={experiment}", *sizes, *overrides])
    setting = {
        "experiment": experiment,
        "num_environments": num_environments,
        "actor_threads": threads,
        "overrides": overrides,
        "learner": dataclasses.asdict(job.learner),
    }
    as_a_run, from_python, wholes = [], [], []
    for _ in range(turns):
        learner = _learner_rate(job)
        as_a_run.append(Parts(_environment_rate(job, True), _inference_rate(job, True), learner))
        from_python.append(Parts(_environment_rate(job, False), _inference_rate(job, False), learner))
        wholes.append(_whole_rate(job))
    report("sebulba_env_steps_per_second", setting, statistics.median(wholes), "env steps/s")
    for way, parts in [("", as_a_run), ("_from_python", from_python)]:
        for part, rates in zip(Parts._fields, zip(*parts, strict=True), strict=True):
            report(f"sebulba_{part}_alone{way}", setting, statistics.median(rates), "env steps/s")
        fractions = [whole / of_turn.bound for whole, of_turn in zip(wholes, parts, strict=True)]
        report(f"sebulba_fraction_of_bound{way}", setting, statistics.median(fractions), "1")
        report(f"sebulba_fraction_of_bound{way}_lowest", setting, min(fractions), "1")
        report(f"sebulba_fraction_of_bound{way}_highest", setting, max(fractions), "1")


def _program(job: JobConfig) -> Sebulba:
    program = build_program(job, num_devices=1)
    assert isinstance(program, Sebulba)
    return program


def _architecture(job: JobConfig) -> SebulbaConfig:
    assert isinstance(job.architecture, SebulbaConfig)
    return job.architecture


def _environments(job: JobConfig, num_environments: int) -> HostEnvironment:
    (config,) = environments_of(job.environment)
    assert lives_on_host(config)
    return make_host_environment(config, num_environments)


def _repeatedly(step: Callable[[], Any], seconds: float) -> float:
    """Calls per second, the first of which is not counted."""
    step()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        calls += 1
    return calls / (time.perf_counter() - start)


def _by_actors(job: JobConfig, make_step: Callable[[int], Callable[[], Any]]) -> float:
    """Calls per second of all actors' threads, each on its cores, of the steps that are made for them there."""
    num_actors = _architecture(job).actor_threads
    rates: list[float] = []
    ready = threading.Barrier(num_actors)

    cores = SharedCores(num_actors, _architecture(job).actor_cores)

    def actor(index: int) -> None:
        cores.keep_actor(index)
        step = make_step(index)
        step()  # which compiles it
        ready.wait()
        rates.append(_repeatedly(step, SECONDS_OF_A_PART))

    threads = [threading.Thread(target=actor, args=(index,)) for index in range(num_actors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def _environment_rate(job: JobConfig, in_programs: bool) -> float:
    """As many batches as there are actors, each stepped by a thread of its own with random actions."""
    num_environments = _program(job).entry_actors[0].num_lifetimes
    threads = _architecture(job).actor_threads
    batches = [_environments(job, num_environments) for _ in range(threads)]
    try:
        rate = _by_actors(job, lambda index: _random_steps(batches[index], index, num_environments, in_programs))
        return rate * STEPS_OF_A_CALL * num_environments
    finally:
        for environment in batches:
            environment.close()


def _random_steps(
    environment: HostEnvironment, seed: int, num_environments: int, in_programs: bool
) -> Callable[[], Any]:
    """A function that steps a batch `STEPS_OF_A_CALL` times with random actions."""
    timestep = environment.reset(np.ones(num_environments, bool), np.arange(num_environments, dtype=np.uint32))
    size, spec = (STEPS_OF_A_CALL, num_environments), environment.action_spec()
    assert isinstance(spec, specs.DiscreteArray)
    actions = np.random.default_rng(seed).integers(spec.num_values, size=size, dtype=np.int32)
    compiled = environment.compiled_step() if in_programs else None
    if compiled is None:
        return lambda: [environment.step(each) for each in actions]

    @jax.jit
    def several(timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        return jax.lax.scan(lambda last, one: (compiled.step(last, one), None), timestep, actions)[0]

    def steps() -> None:
        nonlocal timestep
        timestep = jax.block_until_ready(several(timestep))

    return steps


def _inference_rate(job: JobConfig, in_programs: bool) -> float:
    """As many actors as there are threads, which act on the same time step again and again."""
    sebulba = _program(job)
    programs, (entry_actor,) = make_actor_programs(sebulba), sebulba.entry_actors
    outer = sebulba.outer_loop.actor_view(sebulba.init(instance_settings(job)).outer)

    def actor(index: int) -> Callable[[], Any]:
        meta_params, (keys,), (seeds,) = programs.actor_params(outer, 0, sebulba.slots[index])
        with _environments(job, entry_actor.num_lifetimes) as environment:
            timestep = environment.reset(np.ones(entry_actor.num_lifetimes, bool), np.asarray(seeds))
            is_compiled = in_programs and environment.compiled_step() is not None
        state = programs.entries[0].init(meta_params, keys, timestep)
        nobody = np.zeros(entry_actor.num_lifetimes, bool)

        def unroll() -> None:
            nonlocal state
            meta_params, _, (state,), _ = programs.begin(outer, 0, sebulba.slots[index], (state,), (nobody,))
            if is_compiled:
                acted = programs.entries[0].act_alone(meta_params, state, timestep, entry_actor.unroll_length)
                state, _ = jax.block_until_ready(acted)
                return
            for _ in range(entry_actor.unroll_length):
                state, actions = programs.entries[0].act(meta_params, state, timestep)
                np.asarray(actions)

        return unroll

    return _by_actors(job, actor) * entry_actor.num_lifetimes * entry_actor.unroll_length


def _learner_rate(job: JobConfig) -> float:
    """Updates on the same trajectories again and again."""
    sebulba = _program(job)
    programs, (entry_actor,) = make_actor_programs(sebulba), sebulba.entry_actors
    outer = sebulba.init(instance_settings(job)).outer
    meta_params, (keys,), (seeds,) = programs.actor_params(sebulba.outer_loop.actor_view(outer), 0, sebulba.slots[0])
    every = np.ones(entry_actor.num_lifetimes, bool)
    with _environments(job, entry_actor.num_lifetimes) as environment:
        timestep = environment.reset(every, np.asarray(seeds))
    state = programs.entries[0].init(meta_params, keys, timestep)
    _, _, states, learner_states = programs.begin(
        sebulba.outer_loop.actor_view(outer), 0, sebulba.slots[0], (state,), (every,)
    )
    shards, _ = programs.finish(states, learner_states, (timestep,), sebulba.first_steps(0, sebulba.slots[0]))
    by_actor = (join_shards(shards, DEVICE_AXIS),) * len(sebulba.slots)
    device_state = replicate(jax.tree.map(lambda leaf: leaf[0], outer), DEVICE_AXIS, 1)
    update = map_over_devices(sebulba.update, DEVICE_AXIS, 1, donate=False).lower(device_state, by_actor).compile()
    updates_per_second = _repeatedly(lambda: jax.block_until_ready(update(device_state, by_actor)), SECONDS_OF_A_PART)
    return updates_per_second * sebulba.env_steps_per_update


def _whole_rate(job: JobConfig) -> float:
    """A run, from its second call on, for some seconds."""
    sebulba, layout = _program(job), make_layout(_architecture(job), 1)
    (entry_actor,) = sebulba.entry_actors
    state = jax.device_get(sebulba.init(instance_settings(job)))
    session = SebulbaSession(
        sebulba, _architecture(job), layout, state, lambda: [_environments(job, entry_actor.num_lifetimes)]
    )
    try:
        session.advance(2, lambda: False)
        # As many updates a call as a job does, unless they take long.
        seconds = session.advance(1, lambda: False).seconds
        updates = max(1, min(job.architecture.updates_per_call, int(1.0 / seconds)))
        calls_per_second = _repeatedly(lambda: session.advance(updates, lambda: False), 2 * SECONDS_OF_A_PART)
    finally:
        session.close()
    return calls_per_second * updates * sebulba.env_steps_per_update
