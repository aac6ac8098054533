"""What surrounds a job goes away: whoever reads its output, its terminal, its launcher. Or other jobs are there."""

import fcntl
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time

import pytest

from tests.end_to_end.job import (
    JOB,
    OFTEN,
    REPOSITORY,
    TIMEOUT_S,
    TINY,
    Command,
    checkpoint_steps,
    digest,
    read_rows,
    read_until,
)

SECONDS_TO_END = 5.0
SHORT = (*TINY, "num_updates=4", "evaluation.enabled=false")
LONG = (OFTEN, "num_updates=1000000")
ALL_CLOSED = "<&- >&- 2>&-"


def in_shell(podmeta: Command, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=podmeta.folder,
        env=podmeta.variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )


@pytest.mark.parametrize(
    "lost",
    [
        "2>/dev/full",
        pytest.param(">/dev/full 2>/dev/full", marks=pytest.mark.long),
        pytest.param(">&- 2>&-", marks=pytest.mark.long),
        pytest.param(ALL_CLOSED, marks=pytest.mark.long),
        pytest.param("2>&1 | head -1", marks=pytest.mark.long),
    ],
)
def test_training_ends_as_ever_whatever_becomes_of_its_output(podmeta, finished_run, tmp_path, lost):
    command = shlex.join([*podmeta.program, "train", *JOB, f"run_dir={tmp_path}/run"])
    done = in_shell(podmeta, f"set -o pipefail; {command} {lost}")
    assert (done.returncode, done.stderr) == (0, "")
    assert digest(tmp_path / "run") == digest(finished_run)
    assert checkpoint_steps(tmp_path / "run") == checkpoint_steps(finished_run)


@pytest.mark.long
@pytest.mark.parametrize("lost", [ALL_CLOSED, "2>&1 | head -1"])
def test_a_meta_test_writes_its_rows_whatever_becomes_of_its_output(podmeta, tmp_path, lost):
    job = shlex.join([*podmeta.program, "train", *TINY, "num_updates=4", f"run_dir={tmp_path}/run"])
    assert in_shell(podmeta, f"set -o pipefail; {job} {lost}").returncode == 0
    assert (tmp_path / "run" / "evaluation.jsonl").exists()


def test_list_is_quiet_when_its_reader_goes_and_fails_when_the_disk_is_full(podmeta):
    command = shlex.join([*podmeta.program, "list"])
    done = in_shell(podmeta, f"set -o pipefail; {command} | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "symla-bandit\n", "")
    done = in_shell(podmeta, f"{command} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "failed: the output could not be written: No space left on device\n"


@pytest.mark.parametrize("ignored", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_closed_terminal_stops_a_job_with_a_checkpoint_and_nothing_under_nohup(podmeta, tmp_path, ignored):
    def own_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # whose end the kernel reports with SIGHUP
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*podmeta.program, "train", *JOB, *(() if ignored else LONG), f"run_dir={tmp_path}/run"],
        cwd=podmeta.folder,
        env=podmeta.variables | {"TERM": "xterm"},  # for a live display
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(theirs)
    shown = b""
    while b"update " not in shown:
        shown += os.read(ours, 1000)
    os.close(ours)
    assert process.wait(TIMEOUT_S) == 0
    assert checkpoint_steps(tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").exists() == ignored


@pytest.mark.long
@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_the_workers_of_a_killed_launcher_end_and_the_same_command_goes_on(podmeta, tmp_path, kill):
    def launch(*arguments):
        job = [*JOB, *arguments, "devices.cpu=1", f"run_dir={tmp_path}/run"]
        return subprocess.Popen(
            [sys.executable, str(REPOSITORY / "launch" / "local.py"), "--processes", "2", *job],
            cwd=podmeta.folder,
            env=podmeta.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    launcher, said = launch(*LONG), ""
    while "update " not in said:
        said += (line := launcher.stderr.readline())
        assert line, said
    holder = (tmp_path / "run" / "lock").read_text(encoding="utf-8")
    assert holder.endswith(f"started by process {launcher.pid}\n")
    kill(launcher.pid, signal.SIGKILL)
    launcher.communicate()
    killed = time.monotonic()
    while not is_free(tmp_path / "run" / "lock"):
        assert time.monotonic() - killed < SECONDS_TO_END
        time.sleep(0.05)

    goes_on = launch(f"num_updates={checkpoint_steps(tmp_path / 'run')[-1] + 4}")
    said = goes_on.communicate(timeout=TIMEOUT_S)[1]
    assert goes_on.returncode == 0, said
    assert "going on from update" in said
    assert (tmp_path / "run" / "summary.json").exists()


def is_free(lock) -> bool:
    with lock.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.long
def test_a_job_whose_directory_is_renamed_stops_with_a_checkpoint_and_goes_on_there(podmeta, tmp_path):
    job = podmeta.start("train", *JOB, *LONG, f"run_dir={tmp_path}/run")
    read_until(job, "update ")
    (tmp_path / "run").rename(tmp_path / "moved")
    said = job.communicate(timeout=TIMEOUT_S)[1]
    assert job.returncode == 1 and "Traceback" not in said, said
    step = checkpoint_steps(tmp_path / "moved")[-1]
    assert f"A checkpoint of update {step} is saved there" in said
    assert not (tmp_path / "run" / "config.yaml").exists()
    said = podmeta.succeeds("train", *JOB, f"num_updates={step + 4}", f"run_dir={tmp_path}/moved")
    assert f"going on from update {step}" in said


@pytest.mark.long
def test_a_job_whose_files_are_deleted_goes_on_says_so_and_loses_no_row(podmeta, tmp_path):
    job = podmeta.start("train", *JOB, *LONG, "checkpoint.every_updates=400", f"run_dir={tmp_path}/run")
    deadline = time.monotonic() + TIMEOUT_S
    while not checkpoint_steps(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.02)
    (tmp_path / "run" / "metrics.jsonl").unlink()
    shutil.rmtree(tmp_path / "run" / "tensorboard")
    (tmp_path / "run" / "checkpoints").rename(tmp_path / "lost")
    for _ in range(3):
        read_until(job, "warning: ")
    job.terminate()
    said = job.communicate(timeout=TIMEOUT_S)[1]
    assert job.returncode == 0 and "Traceback" not in said, said
    updates = [row["update"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")]
    assert updates == list(range(updates[0], updates[-1] + 1, updates[0]))
    assert checkpoint_steps(tmp_path / "run")[-1] == updates[-1]
    assert list((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.long
def test_jobs_that_start_at_once_get_folders_of_their_own(podmeta, tmp_path):
    elsewhere = Command(podmeta.variables, tmp_path)
    jobs = [elsewhere.start("train", *SHORT, f"seed={seed}") for seed in range(3)]
    for job in jobs:
        said = job.communicate(timeout=TIMEOUT_S)[1]
        assert job.returncode == 0, said
    runs = list((tmp_path / "runs" / "bandit").iterdir())
    assert len(runs) == 3 and len({digest(run) for run in runs}) == 3


@pytest.mark.long
def test_the_command_works_in_a_thread(podmeta, tmp_path):
    job = [*TINY, "num_updates=4", "evaluation.settings=[{}]", f"run_dir={tmp_path}/run"]
    script = f"""
import threading
from podmeta.cli import main
codes = []
thread = threading.Thread(target=lambda: codes.append(main(["train", *{job!r}])))
thread.start()
thread.join()
print("codes", codes)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=podmeta.variables, capture_output=True, encoding="utf-8"
    )
    assert done.stdout.endswith("codes [0]\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "evaluation.jsonl").exists()
