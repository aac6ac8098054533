"""What an actor lets live: in one program where it can, step by step otherwise, and the same either way."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.architectures.sebulba.actor import Actor, Place
from podmeta.architectures.sebulba.actor_programs import make_actor_programs
from podmeta.architectures.sebulba.actor_rollout import EpisodeReturns
from podmeta.architectures.sebulba.clock import ENVIRONMENT, INFERENCE
from podmeta.architectures.sebulba.cpu_tuning import compiled_unroll
from podmeta.architectures.sebulba.cpu_tuning.cores import SharedCores
from podmeta.architectures.sebulba.pipeline import Pipeline, Published
from podmeta.config.compose import compose_job
from podmeta.config.stages import environments_of
from podmeta.environments.host.envpool_adapter import EnvpoolEnvironments
from podmeta.environments.host.registry import make_host_environment
from podmeta.errors import PodmetaError
from podmeta.training.build import build_program, instance_settings

NUM_LIFETIMES, UNROLL_LENGTH = 6, 12
JOB = (
    "experiment=sebulba_cartpole",
    "learner.hidden_size=4",
    "learner.torso_layers=[4]",
    "environment.lifetime_length=24",
    "environment.options.max_episode_steps=9",
)
ACTOR_CRITIC = (f"outer.num_lifetimes={NUM_LIFETIMES}", f"outer.unroll_length={UNROLL_LENGTH}")
EVOLUTION = ("outer=evolution", "outer.population_size=2", "outer.lifetimes_per_member=3")


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.lists(st.integers(1, 5), max_size=4))
def test_returns_are_those_of_the_episodes_that_ended_however_they_are_cut_into_unrolls(seed, number, lengths):
    generator = np.random.default_rng(seed)
    returns, running, ended, expected = EpisodeReturns(number), np.zeros(number), [], []
    num_actions, after_end = np.zeros(number, int), np.zeros(number, bool)  # of the episodes under way
    for length in lengths:
        starts = generator.random(number) < 0.2
        assert returns.restart(starts) == (num_actions[starts] > 0).sum()
        running[starts], num_actions[starts], after_end[starts] = 0.0, 0, False
        rewards = generator.normal(size=(number, length)).astype(np.float32)
        ends = generator.random((number, length)) < 0.3
        for step in range(length):
            running += rewards[:, step]
            expected += running[ends[:, step]].tolist()
            num_actions += ~after_end  # which is a reset
            running[ends[:, step]], num_actions[ends[:, step]] = 0.0, 0
            after_end = ends[:, step]
        ended += returns.add(rewards, ends)
    np.testing.assert_allclose(sorted(ended), sorted(expected), atol=1e-9)


class OneState(Pipeline):
    """A pipeline that publishes one state for some updates, and keeps what is handed over."""

    def __init__(self, state, num_updates):
        super().__init__(num_actors=1, max_lag=0)
        self.unrolls = []
        self._state, self._num_updates = state, num_updates

    def newest(self, device, update):
        return Published(0, self._state) if update < self._num_updates else None

    def hand_over(self, actor, unroll):
        self.unrolls.append(jax.device_get(unroll))


def prepared(outer, num_updates):
    """An actor for some updates, its rollouts at their first env step, and its pipeline."""
    job = compose_job([*JOB, *outer, "architecture.actor_threads=1"])
    sebulba, (config,) = build_program(job, num_devices=1), environments_of(job.environment)
    environment = make_host_environment(config, sebulba.entry_actors[0].num_lifetimes)
    device = jax.local_devices()[0]
    state = jax.device_put(sebulba.outer_loop.actor_view(sebulba.init(instance_settings(job)).outer), device)
    pipeline = OneState(state, num_updates)
    programs = make_actor_programs(sebulba)
    place = Place(device, learner_devices=[device], cores=SharedCores(num_actors=1, num_cores=0))
    actor = Actor(0, programs, lambda: [environment], pipeline, place, first=Published(0, state))
    return actor, actor.prepare(), pipeline


def unrolls(outer, num_updates):
    actor, rollouts, pipeline = prepared(outer, num_updates)
    actor.act(rollouts)
    return pipeline.unrolls


@pytest.mark.long
def test_in_a_program_and_step_by_step_the_same_is_lived(monkeypatch):
    actor, rollouts, pipeline = prepared(ACTOR_CRITIC, num_updates=4)
    with monkeypatch.context() as patched:
        patched.setattr(EnvpoolEnvironments, "step", lambda *_: pytest.fail("stepped from Python"))
        actor.act(rollouts)
    assert actor.clock.seconds[INFERENCE] > 0 and actor.clock.seconds[ENVIRONMENT] > 0
    monkeypatch.setattr(EnvpoolEnvironments, "compiled_step", lambda _: None)
    step_by_step = unrolls(ACTOR_CRITIC, num_updates=4)
    assert any(unroll.episode_returns for unroll in pipeline.unrolls)
    for lived, expected in zip(pipeline.unrolls, step_by_step, strict=True):
        assert lived.episode_returns == expected.episode_returns
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
        jax.tree.map(close, lived.shards, expected.shards)
        (trajectory,) = lived.shards[0]
        assert np.unique(trajectory.experience.action).size == 2


def test_it_does_not_matter_how_often_a_program_is_looked_at(monkeypatch):
    by_interval = []
    for interval_s in (0.0, 1e6):
        monkeypatch.setattr(compiled_unroll, "_LOOK_EVERY_S", interval_s)
        actor, rollouts, pipeline = prepared(ACTOR_CRITIC, num_updates=2)
        actor.act(rollouts)
        by_interval.append((rollouts[0].compiled_unroll.steps_at_once, pipeline.unrolls))
    (always, at_every_step), (seldom, at_once) = by_interval
    assert always == 1 and seldom > UNROLL_LENGTH
    jax.tree.map(np.testing.assert_array_equal, at_every_step, at_once)


def test_lifetimes_that_start_all_at_once_again_live_step_by_step(monkeypatch):
    """Their pool is made anew every time, and a program could only step the one for which it was compiled."""
    monkeypatch.setattr(EnvpoolEnvironments, "compiled_step", lambda _: pytest.fail("asked for a compiled step"))
    first, second = unrolls(EVOLUTION, num_updates=2)
    assert first.episode_returns and second.episode_returns


def test_a_fault_in_a_program_is_told_with_its_place(monkeypatch):
    make_step = EnvpoolEnvironments.compiled_step

    def failing(environment):
        sound = make_step(environment)

        def failing_step(timestep, actions):
            after = sound.step(timestep, actions)
            third = (np.arange(NUM_LIFETIMES) == 2) & (jax.numpy.abs(after.observation[:, 0]).max() > 0.06)
            return after._replace(reward=jax.numpy.where(third, jax.numpy.nan, after.reward))

        return sound._replace(step=failing_step)

    monkeypatch.setattr(EnvpoolEnvironments, "compiled_step", failing)
    actor, rollouts, _ = prepared(ACTOR_CRITIC, num_updates=3)
    where = r"^envpool CartPole-v1: at env step \d+, environment 2 of 6 gave nan"
    with pytest.raises(PodmetaError, match=where) as fault:
        actor.act(rollouts)
    assert np.isnan(rollouts[0].timestep.reward).nonzero()[0].tolist() == [2]
    assert f"env step {rollouts[0].position}," in str(fault.value)  # it is in the first unroll


def test_an_actor_stops_in_the_middle_of_an_unroll():
    actor, rollouts, pipeline = prepared(ACTOR_CRITIC, num_updates=1)
    pipeline.stop()
    actor.act(rollouts)
    assert rollouts[0].position == int(rollouts[0].state.position) == 0
