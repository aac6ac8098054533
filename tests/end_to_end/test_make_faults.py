"""The script behind `make faults` sees what it counts."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from tests.end_to_end.faults import (
    EXIT_CODE,
    FAULTS,
    HANG,
    NO_WORD,
    ORPHAN,
    SEGFAULT,
    TRACEBACK,
    Scenario,
    Started,
    disturb,
    problems_of,
)
from tests.end_to_end.job import REPOSITORY
from tests.end_to_end.outcomes import (
    LOST,
    PUBLISHING,
    SAVING,
    left_under_way,
    lost_updates,
    newest_checkpoints,
    problems_of_kept,
    problems_of_progress,
)

SIGINT, SIGTERM = FAULTS[1], FAULTS[2]
READY = "os.write(1, b'ready\\n'); time.sleep(1000)"
COMMANDS = {
    "good": (f"signal.signal(signal.SIGINT, lambda *_: (os.write(2, b'interrupted'), os._exit(130))); {READY}", set()),
    "silent": (f"signal.signal(signal.SIGINT, lambda *_: os._exit(130)); {READY}", {NO_WORD}),
    "raises": (f"signal.signal(signal.SIGINT, lambda *_: 1 / 0); {READY}", {TRACEBACK, EXIT_CODE}),
    "crashes": (f"signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGSEGV)); {READY}", {SEGFAULT}),
    "leaves": (
        "subprocess.Popen(['sleep', '1000'], start_new_session=True); "
        f"signal.signal(signal.SIGINT, lambda *_: os._exit(0)); {READY}",
        {ORPHAN},
    ),
}


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_does_wrong_is_counted(name, tmp_path):
    body, expected = COMMANDS[name]
    (tmp_path / "command.py").write_text(
        f"import os, signal, subprocess, sys, time\ndef main():\n    {body}\n", encoding="utf-8"
    )
    variables = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    with Started(Scenario("command", ()), tmp_path, variables) as started:
        while "ready" not in started.output():
            assert not started.ends_within(0.01), started.output()
        problems = disturb(started, SIGINT, random.Random(0))
    problems += problems_of(started.process.returncode, started.output(), SIGINT.allowed_codes())
    assert set(problems) == expected, (started.process.returncode, started.output())
    assert not started.family()


def test_a_command_that_does_not_end_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.end_to_end.faults.SECONDS_TO_END", 0.5)
    body = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"
    (tmp_path / "command.py").write_text(f"import os, signal, time\ndef main():\n    {body}\n", encoding="utf-8")
    with Started(Scenario("command", ()), tmp_path, {"PYTHONPATH": str(tmp_path)}) as started:
        while "ready" not in started.output():
            assert not started.ends_within(0.01), started.output()
        assert disturb(started, SIGTERM, random.Random(0)) == [HANG]
    assert started.process.returncode == -signal.SIGKILL


def test_work_that_is_lost_is_counted(tmp_path):
    run = tmp_path / "cache" / "run"
    (run / "checkpoints" / "step_00000004").mkdir(parents=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps({"update": n}) + "\n" for n in (4, 8, 12)), encoding="utf-8")
    assert newest_checkpoints(tmp_path) == {"run": 4}
    assert problems_of_kept({"run": 8}, newest_checkpoints(tmp_path)) == [LOST]
    assert problems_of_kept({"run": 4}, newest_checkpoints(tmp_path)) == problems_of_kept({}, {"run": 4}) == []
    assert problems_of_kept({"run": 4}, {}) == [LOST]
    assert problems_of_progress(tmp_path, "update 12 of 120", most_lost=4) == [LOST]
    assert problems_of_progress(tmp_path, "update 12 of 120", most_lost=8) == []
    assert problems_of_progress(tmp_path, "going on from update 4", most_lost=4) == []
    assert lost_updates(tmp_path, "update 12 of 120") == 8


def test_what_a_kill_has_left_under_way_is_counted(tmp_path):
    copy = tmp_path / "cache" / "copy"
    checkpoints = copy / "run" / "checkpoints"
    (checkpoints / "step_00000004").mkdir(parents=True)
    assert left_under_way(tmp_path, "update 4 of 120") == []
    (checkpoints / ".tmp-step_00000008").mkdir()
    assert left_under_way(tmp_path, "update 8 of 120") == [SAVING]
    (copy / ".tmp-published").mkdir()
    assert left_under_way(tmp_path, "update 8 of 120") == [SAVING, PUBLISHING]
    assert left_under_way(tmp_path, "going on from update 4") == []


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
def test_a_job_in_a_store_survives_what_happens_to_it_and_its_machine():
    """`make faults ARGS="--tries 100 --only store"` does more."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    command = [sys.executable, "-m", "tests.end_to_end.faults", "--tries", "3", "--only", "store"]
    variables = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, encoding="utf-8")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "store: 0 problems in 3 tries" in ended.stdout
