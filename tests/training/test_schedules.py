"""What is said of schedules when a run goes on for longer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.compose import compose_job
from podmeta.training.schedules import earlier_job, schedule_changes

RATE, NOISE = "outer.learning_rate_schedule", "outer.noise_std_schedule"


def job(num_updates, *overrides):
    return compose_job([f"num_updates={num_updates}", *overrides])


@pytest.mark.long
@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        ([], []),
        ([f"{RATE}.name=linear"], [RATE]),
        ([f"{NOISE}.name=cosine"], [NOISE]),
        ([f"{RATE}.name=linear", f"{NOISE}.name=exponential"], [RATE, NOISE]),
        ([f"{RATE}.name=linear", f"{RATE}.num_updates=200"], []),
        ([f"{RATE}.warmup_updates=10"], []),
        (["outer=actor_critic", f"{RATE}.name=linear"], [RATE]),
        (["stages=[{num_updates: 100, outer: {learning_rate_schedule: {name: linear}}}]"], []),
    ],
)
def test_every_schedule_that_becomes_longer_has_a_line(overrides, keys):
    lines = schedule_changes(job(200, *overrides), job(400, *overrides), 200)
    assert [line.partition(" runs over 400 updates now, not 200")[0] for line in lines] == keys
    kept = [f"{key}.num_updates=200" for key in keys]
    assert schedule_changes(job(200, *overrides), job(400, *overrides, *kept), 200) == []


@given(st.integers(0, 500))
def test_nothing_is_said_where_the_length_is_as_before(update):
    linear = job(200, f"{RATE}.name=linear")
    assert schedule_changes(linear, linear, update) == []


@pytest.mark.parametrize("update", [0, 200, 300])
def test_nothing_is_said_where_nothing_goes_on(update):
    assert schedule_changes(job(400, f"{RATE}.name=linear"), job(200, f"{RATE}.name=linear"), update) == []


def test_a_directory_without_a_run_had_no_job(tmp_path):
    assert earlier_job(tmp_path) is None
    (tmp_path / "config.yaml").write_text("learner: {}", encoding="utf-8")
    assert earlier_job(tmp_path) is None
