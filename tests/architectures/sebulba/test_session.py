"""A stage that cannot start, and what a stage says of its time."""

import math
import threading
from types import SimpleNamespace

import jax
import pytest

from podmeta.architectures.sebulba import session
from podmeta.architectures.sebulba.clock import ENVIRONMENT, INFERENCE, QUEUE
from podmeta.architectures.sebulba.layout import make_layout
from podmeta.architectures.sebulba.learner_thread import UpdateRequest
from podmeta.architectures.sebulba.session import SebulbaSession
from podmeta.config.compose import compose_job
from podmeta.environments.host.registry import make_host_environment
from podmeta.errors import InputError, SessionError
from podmeta.training.build import build_program, instance_settings

NUM_LIFETIMES = 4  # of two actors
JOB = [
    "experiment=sebulba_cartpole",
    "learner.hidden_size=4",
    "outer.unroll_length=2",
    f"outer.num_lifetimes={NUM_LIFETIMES}",
]


def session_of(make_environments):
    job = compose_job(JOB)
    program = build_program(job, num_devices=1)
    state = jax.device_get(jax.jit(program.init)(instance_settings(job)))
    return SebulbaSession(program, job.architecture, make_layout(job.architecture, 1), state, make_environments)


@pytest.mark.parametrize("asked", [False, True])
def test_environments_that_do_not_start_are_not_waited_for(monkeypatch, asked):
    monkeypatch.setattr(session, "_START_TIMEOUT_S", 0.1)
    go_on = threading.Event()

    def never():
        go_on.wait(30)
        return []

    stage = session_of(never)
    stage._config.actor_timeout_s = 0.2
    try:
        if asked:
            assert stage.advance(1, lambda: True).num_updates == 0
        else:
            with pytest.raises(SessionError, match=r"actor 0: .* not answered for .*=0.2 s"):
                stage.advance(1, lambda: False)
        assert stage.state().outer.update == 0
    finally:
        go_on.set()
        stage.close()
    for thread in threading.enumerate():
        if thread.name in ("actor 0", "learner"):
            thread.join(10)
            assert not thread.is_alive()


def test_environments_are_given_longer_to_start_than_to_answer(monkeypatch):
    monkeypatch.setattr(session, "_START_TIMEOUT_S", 1e6)
    ready = threading.Event()

    def slow():
        ready.wait(0.5)
        raise InputError("environment.id: there is none")

    stage = session_of(slow)
    stage._config.actor_timeout_s = 0.1
    with pytest.raises(InputError, match=r"^environment\.id: there is none$"):
        stage.advance(1, lambda: False)
    stage.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("environment", "of_each_actor"),
    # envpool writes the address of a pool into the program that steps it.
    [("envpool_cartpole", ["jit(unroll)"]), ("gymnasium", [])],
)
def test_actors_share_programs_and_compile_nothing_once_they_are_prepared(environment, of_each_actor, monkeypatch):
    # All would compile at the same time, and it would count as their environments' silence.
    if environment == "envpool_cartpole":
        pytest.importorskip("envpool")
    job = [*JOB, f"environment={environment}", "environment.id=CartPole-v1", "environment.lifetime_length=4"]
    monkeypatch.setattr(f"{__name__}.JOB", job)
    config = compose_job(job).environment
    stage = session_of(lambda: [make_host_environment(config, NUM_LIFETIMES // 2)])
    compiled = {}

    def note(event, seconds, **details):
        actor = threading.current_thread()
        if event == "/jax/core/compile/backend_compile_duration" and actor in stage._actors:
            when = "later" if actor.is_prepared.is_set() else "before"
            compiled.setdefault((actor.name, when), []).append(details["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        assert stage.advance(6, lambda: False).num_updates == 6  # two lifetimes end meanwhile
    finally:
        stage.close()
        for actor in stage._actors:
            actor.join(10)
        jax.monitoring.unregister_event_duration_listener(note)
    assert "jit(finish)" in compiled.pop(("actor 0", "before"))
    assert compiled.pop(("actor 1", "before"), []) == of_each_actor
    assert not compiled


@pytest.mark.long
def test_a_stage_of_few_updates_gives_no_advice():
    stage = session_of(lambda: [make_host_environment(compose_job(JOB).environment, NUM_LIFETIMES // 2)])
    assert stage.advice() is None
    stage.advance(9, lambda: False)
    assert stage.advice() is None
    stage.advance(1, lambda: False)
    assert "the learner waited for data" in stage.advice()
    assert "the learner waited for data" in stage.close()


def test_the_mean_return_is_of_the_last_episodes_that_ended_and_those_that_did_not_are_counted(monkeypatch):
    stage = session_of(list)
    idle = SimpleNamespace(spent=lambda: dict.fromkeys((INFERENCE, ENVIRONMENT, QUEUE), 0.0))
    monkeypatch.setattr(stage, "_actors", [SimpleNamespace(clock=idle)])

    def metrics(returns, num_cut_off):
        request = UpdateRequest(1, [{}], [0], [0], [float(value) for value in returns], num_cut_off)
        request.ended.set()
        monkeypatch.setattr(stage._learner, "begin", lambda num_updates: request)
        found = stage.advance(1, lambda: False).process_metrics
        return [found[name] for name in ("episode_return_mean", "num_finished_episodes", "num_cut_off_episodes")]

    nothing, *counts = metrics([], 3)
    assert math.isnan(nothing) and counts == [0, 3]
    assert metrics(range(60), 0) == [29.5, 60, 0]
    assert metrics(range(100, 160), 2) == [(sum(range(20, 60)) + sum(range(100, 160))) / 100, 60, 2]
