"""What a meta-test shows of the setting that it is at."""

import os
import pty
import select
import tempfile
from typing import TextIO

import pytest

from podmeta.evaluation.progress import show_settings

TITLES = ["bandit, num_arms=2", "[bold]CartPole-v1[/bold], lifetime_length=9\x1b[2J"]


@pytest.fixture
def stream():
    """A pipe or a file: anything but a terminal."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        yield file


def written(stream: TextIO) -> str:
    stream.seek(0)
    return stream.read()


def test_a_pipe_gets_a_line_as_each_setting_begins(stream):
    seen = []
    for number in show_settings(TITLES, stream=stream):
        seen.append((number, written(stream).count("\n")))
    assert seen == [(0, 1), (1, 2)]
    first, second = written(stream).splitlines()
    assert first == f"meta-test 1/2: {TITLES[0]}"
    assert second.startswith("meta-test 2/2: [bold]CartPole-v1[/bold]") and second.isprintable()


def test_nothing_is_shown_where_progress_is_switched_off(stream):
    assert list(show_settings(TITLES, enabled=False, stream=stream)) == [0, 1]
    assert written(stream) == ""


def test_a_terminal_gets_a_bar_with_the_setting_at_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        assert list(show_settings(TITLES, stream=stream)) == [0, 1]
        stream.flush()
        shown = b""
        while b"2/2" not in shown and select.select([reader], [], [], 30)[0]:  # a terminal may hand it out in parts
            shown += os.read(reader, 1 << 16)
    os.close(reader)
    assert b"bandit, num_arms=2" in shown and b"2/2" in shown and b"\x1b[2J" not in shown
