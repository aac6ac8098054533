"""Whoever reads what a command prints goes away, Ctrl-C comes at any moment, and launchers are killed."""

import json
import os
import pty
import random
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.end_to_end.job import (
    JOB,
    OFTEN,
    REPOSITORY,
    TIMEOUT_S,
    TINY,
    checkpoint_steps,
    digest,
    read_rows,
    read_until,
)

# It says when podmeta begins to be imported: what comes before, Python alone hears of.
ENTRY = "import os, sys, podmeta.cli; os.write(2, b'started\\n'); sys.exit(podmeta.cli.main())"
BROKEN = [">/dev/full 2>/dev/full", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"]


def in_shell(podmeta, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=podmeta.folder,
        env=podmeta.variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


@pytest.mark.parametrize("lost", [BROKEN[0], pytest.param(BROKEN[1], marks=pytest.mark.long), BROKEN[3]])
def test_training_ends_where_it_would_have_whatever_becomes_of_its_output(podmeta, finished_run, tmp_path, lost):
    done = in_shell(podmeta, f"{shlex.join([*podmeta.program, 'train', *JOB, f'run_dir={tmp_path}/run'])} {lost}")
    assert done.returncode == 0
    assert digest(tmp_path / "run") == digest(finished_run)


def test_training_goes_on_when_the_reader_of_its_output_is_gone(podmeta, finished_run, tmp_path):
    command = shlex.join([*podmeta.program, "train", *JOB, f"run_dir={tmp_path}/run"])
    done = in_shell(podmeta, f"set -o pipefail; {command} 2>&1 | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert digest(tmp_path / "run") == digest(finished_run)


def test_list_is_quiet_when_nobody_reads_on_and_fails_when_a_disk_is_full(podmeta):
    command = shlex.join([*podmeta.program, "list"])
    done = in_shell(podmeta, f"set -o pipefail; {command} | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "symla-bandit\n", "")
    done = in_shell(podmeta, f"{command} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "failed: the output could not be written: No space left on device\n"


@pytest.mark.parametrize("ignored", [False, True])
def test_a_terminal_that_closes_stops_a_job_with_a_checkpoint_unless_it_is_not_to_hear(podmeta, tmp_path, ignored):
    ours, theirs = pty.openpty()
    enough = () if ignored else (OFTEN, "num_updates=1000000")
    process = subprocess.Popen(
        [*podmeta.program, "train", *JOB, *enough, f"run_dir={tmp_path}/run"],
        cwd=podmeta.folder,
        env=podmeta.variables | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=(lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None,
    )
    os.close(theirs)
    said = b""
    while b"run directory" not in said:
        said += os.read(ours, 1000)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(TIMEOUT_S) == 0
    assert checkpoint_steps(tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").exists() == ignored


def interrupt(podmeta, arguments: list[str], seconds: float) -> tuple[int, str, float]:
    """Starts a command, and interrupts it after a while; returns its exit code, what it said, and how long it took."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, *arguments],
        cwd=podmeta.folder,
        env=podmeta.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    read_until(process, "started")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    said = process.communicate(timeout=60)[1]
    return process.returncode, said, time.monotonic() - start


@pytest.mark.parametrize("moments", [(0.0, 0.1), (0.5, 1.0), (2.0, 6.0)])
def test_an_interrupt_ends_evaluate_with_one_line_at_any_moment(podmeta, finished_run, moments):
    command = ["evaluate", f"run={finished_run}", "evaluation.num_tasks=2000"]
    code, said, seconds = interrupt(podmeta, command, random.Random(0).uniform(*moments))
    assert code == 130, said
    assert said.startswith("interrupted: ") and said.count("\n") == 1, said
    assert seconds < 5


def test_an_interrupted_meta_test_keeps_its_rows_and_is_made_up(podmeta, finished_run, tmp_path):
    job = [*TINY, "num_updates=4", f"run_dir={tmp_path}/run"]
    settings = ["evaluation.settings=[{num_arms: 2}, {num_arms: 3}, {num_arms: 4}, {num_arms: 5}, {num_arms: 6}]"]
    process = podmeta.start("train", *job, *settings)
    rows = tmp_path / "run" / "evaluation.jsonl"
    end = time.monotonic() + TIMEOUT_S
    while not rows.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    last = said.splitlines()[-1]
    assert last.startswith("interrupted: θ and what the meta-test has measured so far are in"), said
    assert read_rows(rows)[0]["setting"]["num_arms"] == 2
    podmeta.succeeds(*shlex.split(last.partition("to go on: podmeta ")[2]))
    tested = [json.dumps([row["setting"], row["algorithm"], row["metric"]]) for row in read_rows(rows)]
    assert len(tested) == len(set(tested))
    assert {row["setting"]["num_arms"] for row in read_rows(rows)} == {2, 3, 4, 5, 6}


def test_the_workers_of_a_killed_launcher_end_and_leave_the_run_to_the_next(podmeta, tmp_path):
    launcher = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "launch" / "local.py"), "--processes", "2", *JOB, OFTEN]
        + ["num_updates=1000000", "devices.cpu=1", f"run_dir={tmp_path}/run"],
        cwd=podmeta.folder,
        env=podmeta.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = ""
    while "run directory" not in said:
        said += (line := launcher.stdout.readline())
        assert line, said
    lock = (tmp_path / "run" / "lock").read_text().split()
    assert int(lock[lock.index("by") + 2]) == launcher.pid
    os.killpg(launcher.pid, signal.SIGKILL)
    launcher.wait()
    time.sleep(5)
    podmeta.succeeds(
        "train",
        *JOB,
        "num_updates=1000000",
        "evaluation.enabled=false",
        "resume=auto",
        f"run_dir={tmp_path}/run",
        "--help",
    )
    assert "is in use" not in podmeta.run("evaluate", f"run={tmp_path}/run", "evaluation.num_tasks=2").stderr
