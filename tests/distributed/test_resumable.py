"""Scripts whose commands can be given again."""

import pytest

from podmeta.distributed import resumable
from podmeta.distributed.resumable import run_what_is_left


@pytest.fixture
def ran(monkeypatch):
    """The commands that have run. Each ends well, except `fail` and what a signal kills."""
    commands = []

    def run(words):
        commands.append(words[-1])
        return {"fail": 2, "killed": -9}.get(words[-1], 0), None

    monkeypatch.setattr(resumable, "run_child", run)
    return commands


def test_every_command_that_is_left_runs_once(ran):
    assert run_what_is_left(lambda: [[name] for name in ("a", "b") if name not in ran]) is None
    assert ran == ["a", "b"]


def test_nothing_follows_a_command_that_has_not_come_to_its_end(ran, capsys):
    assert run_what_is_left(lambda: [[name] for name in ("a", "b") if name == "b" or "a" not in ran]) == 0
    assert ran == ["a", "b"]
    assert "stopped before its end" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "code"), [("fail", 2), ("killed", 137)])
def test_a_command_that_fails_ends_the_script_with_its_code(name, code, ran):
    assert run_what_is_left(lambda: [[name], ["b"]]) == code
    assert ran == [name]
