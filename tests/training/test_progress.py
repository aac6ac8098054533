import contextlib
import os
import re
import tempfile
import threading
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.training.progress import LiveProgressDisplay, PlainProgressDisplay, show_progress


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def log_file() -> TextIO:
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def written(stream: TextIO) -> str:
    with stream:
        stream.seek(0)
        return stream.read()


def test_lines_without_a_terminal_hold_no_control_characters(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = log_file()
    with show_progress(3, stream) as progress:
        for update in (1, 2, 3):
            progress.update(update, 0.5 * update, 1_234_567.0)
    lines = written(stream).split("\n")
    assert lines.pop() == ""
    assert all(line.isprintable() for line in lines)
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert "fitness 1.5" in lines[-1] and "1.23M env steps/s" in lines[-1]


@given(
    steps=st.lists(st.tuples(st.integers(1, 40), st.floats(0, 15)), min_size=1, max_size=60),
    num_updates=st.integers(1, 400),
)
def test_lines_are_few_and_the_last_update_has_one(steps, num_updates):
    clock, stream = Clock(), log_file()
    update = 0
    with PlainProgressDisplay(num_updates, stream, clock) as progress:
        for updates, seconds in steps:
            update += updates
            clock.seconds += seconds
            progress.update(update, 0.0, 1.0)
    told = [int(number) for number in re.findall(r"^update (\d+)/", written(stream), re.MULTILINE)]
    assert told == sorted(set(told))
    assert told[-1] == update
    # The first line, the last one, and one per 5 % or 10 s in between.
    assert len(told) <= 2 + update / (0.05 * num_updates) + clock.seconds / 10


def test_the_time_left_leaves_compilation_and_earlier_runs_out():
    clock, stream = Clock(), log_file()
    with PlainProgressDisplay(100, stream, clock) as progress:
        clock.seconds = 500.0  # compiling
        progress.update(50, 0.0, 1.0)  # the first report of a resumed job
        clock.seconds += 36.0
        progress.update(60, 0.0, 1.0)
    first, second = written(stream).splitlines()
    assert "left" not in first
    assert second.endswith("0:02:24 left")


def read_to_end(terminal: int) -> str:
    """What was shown on a terminal whose other side is closed: reading then ends with an error."""
    chunks = []
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 100_000):
            chunks.append(chunk)
    os.close(terminal)
    return b"".join(chunks).decode()


def test_a_terminal_gets_a_live_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    threads = set(threading.enumerate())
    reading, writing = os.openpty()
    with os.fdopen(writing, "w", encoding="utf-8") as terminal:
        progress = show_progress(20, terminal)
        assert isinstance(progress, LiveProgressDisplay)
        with progress:
            progress.update(20, 0.25, 999.0)
    shown = read_to_end(reading)
    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "update 20/20" in plain and "fitness 0.25" in plain and "999 env steps/s" in plain
    for thread in set(threading.enumerate()) - threads:  # of the bar, or one that an earlier test left to begin
        thread.join(timeout=5)
        assert not thread.is_alive() or "rich" not in type(thread).__module__


@pytest.mark.parametrize("terminal_type", ["dumb", None])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch, terminal_type):
    if terminal_type is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", terminal_type)
    reading, writing = os.openpty()
    with os.fdopen(writing, "w", encoding="utf-8") as terminal:
        assert isinstance(show_progress(20, terminal), PlainProgressDisplay)
    os.close(reading)


def test_switched_off_it_says_nothing():
    stream = log_file()
    with show_progress(3, stream, enabled=False) as progress:
        progress.update(1, 0.0, 1.0)
    assert written(stream) == ""
