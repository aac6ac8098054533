"""Curricula: jobs of several stages, whole, stopped and killed."""

import json

import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.storage.checkpoints import meta_params_sha256
from podmeta.training import build, loop
from podmeta.training.meta_params import restore_meta_params
from podmeta.training.progress import ProgressDisplay

TINY = ["learner=recurrent", "learner.cell=gru", "learner.hidden_size=2", "architecture.updates_per_call=2"]
QUIET = ["logging.every_updates=1", "logging.tensorboard=false", "logging.progress=false"]
OFTEN = ["checkpoint.every_updates=1", "checkpoint.every_seconds=0"]
FIRST = "environment: bandit, num_arms: 3, lifetime_length: 8, num_updates: 3"
SECOND = (
    "environment: mixture, num_updates: 4, outer: {learning_rate: 0.02, learning_rate_schedule: {name: linear}},"
    " entries: [{environment: bandit, num_arms: 3, lifetime_length: 8},"
    " {environment: bandit, num_arms: 3, lifetime_length: 8, label: other}]"
)
JOBS = {
    # Its second stage has lifetimes that go on across updates, and the first has none.
    "evolution": [
        "outer.population_size=8",
        "outer.lifetimes_per_member=1",
        "outer.noise_std=1",
        f"stages=[{{{FIRST}}}, {{{SECOND.replace('outer: {', 'outer: {unroll_length: 4, ')}}}]",
    ],
    "actor_critic": [
        "outer=actor_critic",
        "outer.num_lifetimes=4",
        "outer.unroll_length=4",
        f"stages=[{{{FIRST}}}, {{{SECOND}}}]",
    ],
}
JOBS["evolution_after_actor_critic"] = [
    *JOBS["actor_critic"][:-1],
    f"stages=[{{{FIRST}}}, {{{SECOND.replace('outer: {', 'outer: {name: evolution, population_size: 8, ')}}}]",
]
FIRST_UPDATES, ALL_UPDATES = 3, 7


def compose(name, run_path, *overrides):
    return compose_job([*JOBS[name], *TINY, *QUIET, *OFTEN, f"run_dir={run_path}", *overrides])


def train(*arguments):
    return loop.train(compose(*arguments), lambda line: None)


def rows(run_path):
    """The lines of metrics.jsonl, less what the clock says."""
    lines = [json.loads(line) for line in (run_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    timed = ("seconds", "env_steps_per_second", "save_seconds", "host_memory_bytes_max")
    return [{name: value for name, value in line.items() if name not in timed} for line in lines]


@pytest.fixture(scope="module", params=["evolution", "actor_critic"])
def whole(request, tmp_path_factory):
    """A job that nothing disturbs: its name, run directory and result."""
    run_path = tmp_path_factory.mktemp("whole") / "run"
    return request.param, run_path, train(request.param, run_path)


# The checkpoint that is left is of the update before: within the first stage, between the two, within the second.
@pytest.mark.parametrize(
    "killed_at", [pytest.param(3, marks=pytest.mark.long), pytest.param(5, marks=pytest.mark.long), 7]
)
def test_a_job_killed_in_any_stage_goes_on_to_the_same_end(killed_at, whole, tmp_path, monkeypatch):
    name, whole_path, result = whole
    run_path = tmp_path / "run"

    class KilledError(Exception):
        pass

    def kill(display, update, *_):
        if update == killed_at:
            raise KilledError  # after rows are written, before a checkpoint is saved

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(ProgressDisplay, "update", kill)
        train(name, run_path)
    assert restore_meta_params(run_path).update < killed_at
    went_on = train(name, run_path)
    assert meta_params_sha256(went_on.meta_params) == meta_params_sha256(result.meta_params)
    assert rows(run_path) == rows(whole_path)


def test_metrics_tell_the_stage_and_its_environments(whole):
    name, run_path, _ = whole
    lines = rows(run_path)
    assert [line["update"] for line in lines] == list(range(1, ALL_UPDATES + 1))
    assert [line["stage"] for line in lines] == [0] * FIRST_UPDATES + [1] * 4
    assert ["fitness_mean/other" in line for line in lines] == [line["stage"] == 1 for line in lines]
    steps = np.diff([0] + [line["env_steps"] for line in lines])
    # Evolution: members times env steps; actor-critic: rows times the unroll, once per entry.
    first, second = {"evolution": (8 * 8, 8 * 4 * 2), "actor_critic": (4 * 4, 4 * 4 * 2)}[name]
    np.testing.assert_array_equal(steps, [first] * FIRST_UPDATES + [second] * 4)


def test_a_schedule_runs_over_its_own_stage(whole):
    _, run_path, _ = whole
    rates = [line["learning_rate"] for line in rows(run_path)]
    assert len(set(rates[:FIRST_UPDATES])) == 1
    np.testing.assert_allclose(rates[FIRST_UPDATES:], np.linspace(0.02, 0.002, 4), rtol=1e-5)


@pytest.mark.long
def test_a_job_may_end_in_the_middle_of_a_stage_and_be_lengthened(whole, tmp_path):
    name, _, result = whole
    run_path = tmp_path / "run"
    assert train(name, run_path, "num_updates=5").update == 5
    assert meta_params_sha256(train(name, run_path).meta_params) == meta_params_sha256(result.meta_params)


@pytest.mark.long
def test_a_run_is_restored_in_whichever_stage_it_was_saved(whole, tmp_path):
    name, _, result = whole
    run_path = tmp_path / "run"
    train(name, run_path, f"num_updates={FIRST_UPDATES}")
    assert restore_meta_params(run_path).update == FIRST_UPDATES
    train(name, run_path)
    assert meta_params_sha256(restore_meta_params(run_path).meta_params) == meta_params_sha256(result.meta_params)


@pytest.mark.long
def test_another_outer_loop_may_take_over_and_is_resumed(tmp_path):
    name, run_path = "evolution_after_actor_critic", tmp_path / "run"
    result = train(name, tmp_path / "whole")
    for num_updates in (FIRST_UPDATES, FIRST_UPDATES + 2, ALL_UPDATES):
        resumed = train(name, run_path, f"num_updates={num_updates}")
    assert meta_params_sha256(resumed.meta_params) == meta_params_sha256(result.meta_params)
    assert rows(run_path) == rows(tmp_path / "whole")
    # Only actor-critic has an entropy to tell.
    assert ["entropy" in line for line in rows(run_path)] == [True] * FIRST_UPDATES + [False] * 4


@pytest.mark.long
def test_instances_keep_the_seeds_that_their_run_began_with(tmp_path, monkeypatch):
    overrides = ("architecture.num_instances=2",)
    with monkeypatch.context() as patch:
        patch.setattr(build, "_instance_seed", lambda seed, instance: seed + instance)  # as in earlier versions
        train("evolution", tmp_path, *overrides, f"num_updates={FIRST_UPDATES - 1}")
    train("evolution", tmp_path, *overrides)
    restored = restore_meta_params(tmp_path)
    assert (restored.update, restored.seeds.tolist()) == (ALL_UPDATES, [0, 1])
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["instance_seeds"] == [0, 1]
