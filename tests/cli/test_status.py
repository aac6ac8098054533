"""What `podmeta status` and `podmeta watch` print."""

import json
import threading
import time

import pytest

from podmeta.cli import main
from podmeta.storage.run_lock import RunLock
from tests.storage.test_run_status import leave_checkpoint, write_beat


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")


def test_the_table_has_a_line_for_every_run(tmp_path, wide, capsys):
    write_beat(tmp_path / "first", "failed", "the fitness of generation 31\nis not finite \x1b[2J")
    leave_checkpoint(tmp_path / "first", 20)
    write_beat(tmp_path / "second", "running")
    assert main(["status", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    (first,) = [line for line in shown.splitlines() if str(tmp_path / "first") in line]
    for part in ("failed", "30 of 120 (25%)", "2.5k", "20, 0:00:0", "the fitness of generation 31 is not finite"):
        assert part in first
    (second,) = [line for line in shown.splitlines() if str(tmp_path / "second") in line]
    assert "killed" in second
    assert "\x1b" not in shown


def test_json_has_an_object_for_every_run(tmp_path, capsys):
    write_beat(tmp_path / "first", "interrupted", "SIGTERM")
    assert main(["status", str(tmp_path / "first"), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line)
    assert row | {"heartbeat_age": 0} == {
        "path": str(tmp_path / "first"),
        "state": "interrupted",
        "update": 30,
        "num_updates": 120,
        "env_steps_per_second": 2500.0,
        "checkpoint": None,
        "checkpoint_age": None,
        "heartbeat_age": 0,
        "reason": "SIGTERM",
    }


def test_fifty_runs_in_all_states_are_told_apart(tmp_path, capsys):
    locks, expected = [], {}
    for number in range(50):
        path = tmp_path / f"{number:02d}"
        state = ("running", "waiting", "finished", "interrupted", "failed", "killed", "unreadable")[number % 7]
        expected[str(path)] = state
        if state in ("running", "waiting"):
            locks.append(RunLock(path))
            write_beat(path, "running" if state == "running" else "finished", holder=locks[-1].holder, update=number)
        else:
            write_beat(path, "running" if state == "killed" else state, "why it did", update=number)
        if state == "unreadable":
            (path / "heartbeat.json").write_text("{", encoding="utf-8")
        for step in range(20):
            leave_checkpoint(path, step)
    assert main(["status", str(tmp_path), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for lock in locks:
        lock.release()
    assert {row["path"]: row["state"] for row in rows} == expected
    assert all(row["update"] == int(row["path"][-2:]) for row in rows if row["state"] != "unreadable")


@pytest.mark.parametrize("command", ["status", "watch"])
def test_no_run_is_refused(command, capsys):
    assert main([command]) == 2
    assert f"podmeta {command} runs" in capsys.readouterr().err


@pytest.mark.parametrize("every", ["0", "-1", "x", "nan", "inf"])
def test_a_time_that_is_none_is_refused(every, tmp_path, capsys):
    assert main(["watch", str(tmp_path), f"every={every}"]) == 2
    assert f"every={every}" in capsys.readouterr().err


def test_watch_tells_of_changes_until_the_run_has_ended(tmp_path, capsys):
    lock = RunLock(tmp_path)
    write_beat(tmp_path, "running", holder=lock.holder, update=10)

    def train_on():
        time.sleep(0.5)
        write_beat(tmp_path, "running", holder=lock.holder, update=20)
        time.sleep(0.5)
        write_beat(tmp_path, "finished", "all updates are done", holder=lock.holder, update=120)
        lock.release()

    job = threading.Thread(target=train_on)
    job.start()
    assert main(["watch", str(tmp_path), "every=0.05"]) == 0
    job.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path}: running, update 10 of 120 (8%), 2.5k env steps/s: process ")
    assert lines[-1] == f"{tmp_path}: finished, update 120 of 120 (100%), 2.5k env steps/s: all updates are done"
    assert len(lines) == len(set(lines)) >= 2
