"""A start keeps account of its time while it goes, so that a kill loses little of it."""

import itertools
import json
import shutil

import pytest

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.wall_clock import FINISHED, read_wall_clock
from podmeta.training.loop import train
from podmeta.training.wall_clock import WallClock
from tests.training.test_run_logger import TINY

CONFIG = job_to_yaml(compose_job([]))


class Time:
    """A clock that is set by hand."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def held(tmp_path):
    with RunDirectory(tmp_path / "run", CONFIG) as run_directory:
        yield run_directory


def start(held, time, update, began):
    return WallClock(held, update, began, pytest.fail, time)


def rows_of(held):
    return read_wall_clock(held.path, pytest.fail)


def test_a_start_that_is_killed_leaves_the_account_of_all_but_the_last_stretch(held):
    time = Time(1000.0)
    clock = start(held, time, 0, 990.0)
    clock.begin()
    for update in range(1, 101):
        time.now += 0.25
        clock.spend("updates", 0.2)
        clock.note(update)
    assert 100 - 4 <= rows_of(held)[-1].update <= 100  # rows come no more often than once per second
    assert len(rows_of(held)) < 40

    time.now += 60.0  # it was killed, and started again from update 80
    clock = start(held, time, 80, time.now - 5.0)
    clock.begin()
    time.now += 10.0
    clock.spend("updates", 6.0)
    clock.spend("compile", 3.0)
    clock.write(120, FINISHED)
    goodput = clock.goodput()
    assert goodput.wall_clock_seconds == pytest.approx(time.now - 990.0)
    assert goodput.startup_seconds == pytest.approx(10.0 + 5.0)
    assert goodput.restart_seconds == pytest.approx(55.0, abs=1.0)
    assert goodput.update_seconds == pytest.approx(80 * 0.2 + 6.0)
    assert goodput.repeated_seconds == pytest.approx(20 * 0.2, abs=0.8)
    assert goodput.compile_seconds == 3.0
    assert goodput.num_starts == 2


def test_rows_become_rarer_as_a_start_grows_old(held):
    time = Time(0.0)
    clock = start(held, time, 0, 0.0)
    clock.begin()
    for update in range(24 * 3600):
        time.now += 1.0
        clock.note(update)
    rows = rows_of(held)
    assert len(rows) < 2500
    assert max(after.time - before.time for before, after in itertools.pairwise(rows)) <= 61.0


def test_what_cannot_be_written_is_in_the_next_row(held):
    time = Time(0.0)
    clock = start(held, time, 0, 0.0)
    clock.begin()
    (held.path / "wall_clock.jsonl").unlink()
    (held.path / "wall_clock.jsonl").mkdir()
    time.now += 5.0
    clock.spend("save", 4.0)
    clock.write(1)
    (held.path / "wall_clock.jsonl").rmdir()
    time.now += 5.0
    clock.write(2)
    (row,) = rows_of(held)
    assert (row.save, row.other, row.update) == (4.0, 6.0, 2)


def test_another_run_in_the_place_of_this_one_is_left_alone(held, tmp_path):
    clock = start(held, Time(0.0), 0, 0.0)
    clock.begin()
    held.path.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", held.path)
    before = (held.path / "wall_clock.jsonl").read_bytes()
    clock.write(1)
    assert (held.path / "wall_clock.jsonl").read_bytes() == before


def test_seconds_that_the_clock_did_not_go_are_not_counted(held):
    time = Time(100.0)
    clock = start(held, time, 0, 100.0)
    clock.begin()
    clock.spend("updates", 30.0)
    time.now = 110.0  # the system's clock was set back meanwhile
    clock.write(1)
    assert clock.goodput().update_seconds == 10.0 == clock.goodput().wall_clock_seconds


@pytest.mark.long
def test_a_job_says_where_its_time_went_and_how_long_its_saves_took(tmp_path):
    path = tmp_path / "run"
    words = [*TINY, f"run_dir={path}", "checkpoint.every_updates=2", "logging.every_updates=1"]
    words += ["architecture.updates_per_call=1", "checkpoint.every_seconds=0"]
    train(compose_job([*words, "num_updates=2"]), lambda line: None)
    train(compose_job([*words, "num_updates=5"]), lambda line: None)
    goodput = json.loads((path / "summary.json").read_text(encoding="utf-8"))["goodput"]
    assert goodput["num_starts"] == 2
    for name in ("update", "compile", "save", "startup"):
        assert goodput[f"{name}_seconds"] > 0
    assert goodput["repeated_seconds"] == 0 < goodput["share"] < 1
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["update"] for row in rows if row.get("save_seconds", 0) > 0] == [5]
    before = (path / "wall_clock.jsonl").read_bytes()
    train(compose_job([*words, "num_updates=5"]), lambda line: None)  # nothing is left to train
    assert (path / "wall_clock.jsonl").read_bytes() == before
