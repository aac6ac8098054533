"""Where a thread's time goes, also while it is going."""

import time

from hypothesis import given
from hypothesis import strategies as st

from podmeta.architectures.sebulba.bottleneck import advise
from podmeta.architectures.sebulba.clock import Clock


def test_time_is_counted_by_activity_and_seen_while_it_runs():
    clock = Clock("work", "rest")
    with clock.spending("work"):
        time.sleep(0.02)
        assert clock.running_for("work") >= 0.02 and clock.running_for("rest") == 0.0
    assert clock.running_for("work") == 0.0
    assert clock.seconds["work"] >= 0.02 and clock.seconds["rest"] == 0.0


def test_time_counts_also_where_the_activity_fails():
    clock = Clock("work")
    try:
        with clock.spending("work"):
            time.sleep(0.01)
            raise ValueError
    except ValueError:
        pass
    assert clock.seconds["work"] >= 0.01 and clock.running_for("work") == 0.0


def test_time_spent_on_two_things_at_once_is_divided():
    clock = Clock("work", "rest")
    with clock.spending("work"):
        time.sleep(0.02)
    total = clock.seconds["work"]
    clock.divide(0.01, "work", "rest")
    assert clock.seconds == {"work": total - 0.01, "rest": 0.01}


def test_the_advice_names_the_bottleneck_and_its_knob():
    learner = {"data": 1.0, "update": 9.0}
    for largest, knob in (
        ("environment", "actor_threads"),
        ("inference", "actor_devices"),
        ("queue", "learner_devices"),
    ):
        actors = {"inference": 1.0, "environment": 1.0, "queue": 1.0} | {largest: 8.0}
        line = advise(actors, learner)
        assert f"80% in {largest}" in line and f"architecture.{knob}" in line and "data 10%" in line


def test_what_is_going_on_counts_as_spent():
    clock = Clock("work", "rest")
    with clock.spending("work"):
        time.sleep(0.02)
        assert clock.spent()["work"] >= 0.02 and clock.seconds["work"] == 0.0
    assert clock.spent() == clock.seconds


@given(st.tuples(*[st.floats(0.0, 1e3)] * 3), st.tuples(*[st.floats(0.0, 1e3)] * 2))
def test_the_advice_blames_nobody_who_waits_more_than_the_other(actors, learner):
    line = advise(
        dict(zip(("inference", "environment", "queue"), actors, strict=True)),
        {"data": learner[0], "update": learner[1]},
    )
    waiting_actors, waiting_learner = actors[2] / max(sum(actors), 1e-9), learner[0] / max(sum(learner), 1e-9)
    assert ("the learner is the bottleneck" in line) == (waiting_actors > waiting_learner)
