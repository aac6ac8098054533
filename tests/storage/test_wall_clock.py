"""The account of a job's time: it adds up, and tells apart what counted."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.errors import InputError
from podmeta.storage.json_files import encode
from podmeta.storage.run_files import WALL_CLOCK
from podmeta.storage.wall_clock import (
    ACTIVITIES,
    FINISHED,
    WallClockRow,
    account,
    drop_incomplete_row,
    read_wall_clock,
)

SECONDS = st.floats(0, 1000)


@st.composite
def histories(draw):
    """Rows of some starts, and what a plain count by update says of them: seconds of updates that counted."""
    rows, time, reached, seconds_of = [], draw(st.floats(0, 2e9)), 0, {}
    began, idle = time, 0.0
    for start in range(draw(st.integers(1, 4))):
        gap = draw(SECONDS) if start else 0.0
        idle, time = idle + gap, time + gap
        update = draw(st.integers(0, reached))
        for number in range(draw(st.integers(1, 5))):
            done = draw(st.integers(0, 3)) if number else 0
            spent = {activity: draw(SECONDS) for activity in ACTIVITIES}
            spent["updates"] = spent["updates"] if done else 0.0
            time += sum(spent.values())
            if number == 0:  # what was done beyond has to be done again
                seconds_of = {each: seconds for each, seconds in seconds_of.items() if each <= update}
            for each in range(update + 1, update + done + 1):
                seconds_of[each] = spent["updates"] / done
            update += done
            rows.append(WallClockRow(start, time, update, **spent))
        reached = update
    return rows, time - began, idle, sum(seconds_of.values())


@given(histories())
def test_the_account_adds_up_and_counts_every_update_once(history):
    rows, total, idle, counted = history
    goodput = account(rows)
    assert goodput.wall_clock_seconds == pytest.approx(total, rel=1e-6, abs=1e-3)
    assert goodput.update_seconds == pytest.approx(counted, rel=1e-6, abs=1e-6)
    assert goodput.restart_seconds == pytest.approx(idle, rel=1e-6, abs=1e-3)
    assert goodput.num_starts == rows[-1].start + 1
    parts = [value for name, value in dataclasses.asdict(goodput).items() if name.endswith("_seconds")]
    assert sum(parts) == pytest.approx(2 * goodput.wall_clock_seconds)  # the whole is one of them
    assert 0 <= goodput.share <= 1


def row(start, time, update, ended="", **spent):
    return WallClockRow(start, time, update, **(dict.fromkeys(ACTIVITIES, 0.0) | spent), ended=ended)


def test_a_finished_job_that_is_extended_later_was_not_restarting_meanwhile():
    week = 7 * 24 * 3600.0
    rows = [row(0, 10.0, 5, updates=10.0, ended=FINISHED), row(1, week, 5, startup=1.0)]
    assert account(rows).wall_clock_seconds == 11.0
    assert account([dataclasses.replace(rows[0], ended=""), rows[1]]).restart_seconds == week - 11.0


def test_nothing_recorded_is_no_account():
    assert account([]) is None


def test_an_incomplete_row_is_dropped_and_a_damaged_one_refused(tmp_path):
    path, said = tmp_path / WALL_CLOCK, []
    drop_incomplete_row(tmp_path, said.append)
    assert not path.exists()
    whole = json.dumps(encode(row(0, 10.0, 5, startup=10.0))) + "\n"
    path.write_text(whole + whole[:20], encoding="utf-8")
    drop_incomplete_row(tmp_path, said.append)
    assert path.read_text(encoding="utf-8") == whole
    assert len(said) == 1 and "incomplete" in said[0]
    assert read_wall_clock(tmp_path, said.append) == [row(0, 10.0, 5, startup=10.0)]
    path.write_text(whole + "{}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"wall_clock.jsonl:2 is damaged: start is missing"):
        read_wall_clock(tmp_path, said.append)
