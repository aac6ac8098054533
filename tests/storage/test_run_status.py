"""The state of a run is read from its directory, whatever is there."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from podmeta.errors import InputError
from podmeta.storage.json_files import encode
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import Heartbeat
from podmeta.storage.run_lock import RunLock, holder_of
from podmeta.storage.run_status import find_runs, read_status


def write_beat(path, state, reason="", holder="process 1 on host, started by process 0", update=30):
    path.mkdir(parents=True, exist_ok=True)
    beat = Heartbeat(state, time.time() - 7.0, 0.0, holder, update, 120, 2500.0, reason)
    (path / "heartbeat.json").write_text(json.dumps(encode(beat)), encoding="utf-8")


def leave_checkpoint(path, step):
    (path / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
def test_a_run_that_ended_is_in_the_state_that_it_recorded(state, tmp_path):
    write_beat(tmp_path, state, "why it did")
    leave_checkpoint(tmp_path, 20)
    leave_checkpoint(tmp_path, 30)
    status = read_status(tmp_path)
    assert (status.state, status.reason, status.is_over) == (state, "why it did", True)
    assert (status.update, status.num_updates, status.checkpoint) == (30, 120, 30)
    assert status.env_steps_per_second == 2500.0
    assert 6.0 < status.heartbeat_age < 60.0 and 0.0 <= status.checkpoint_age < 60.0


def test_a_run_is_running_while_its_process_holds_it_and_killed_after_that(tmp_path):
    lock = RunLock(tmp_path)
    write_beat(tmp_path, "running", holder=lock.holder)
    status = read_status(tmp_path)
    assert (status.state, status.reason, status.is_over) == ("running", lock.holder, False)
    assert f"process {os.getpid()} on" in status.reason
    lock.release()
    status = read_status(tmp_path)
    assert (status.state, status.is_over) == ("killed", True)


@pytest.mark.parametrize("earlier", [None, "starting", "running", "finished", "interrupted", "failed"])
def test_a_process_that_has_done_no_update_yet_is_waiting_whatever_was_before(earlier, tmp_path):
    if earlier is not None:
        write_beat(tmp_path, earlier, holder="process 1 on another, started by process 0")
    lock = RunLock(tmp_path)
    status = read_status(tmp_path)
    lock.release()
    assert status.state == "waiting" and lock.holder in status.reason


def test_a_folder_that_no_process_has_opened_is_waiting(tmp_path):
    assert read_status(tmp_path).state == "waiting"
    assert list(tmp_path.iterdir()) == []  # nothing was written


def test_runs_of_earlier_versions_are_told_by_their_summary_and_checkpoints(tmp_path):
    leave_checkpoint(tmp_path, 20)
    assert (read_status(tmp_path).state, read_status(tmp_path).update) == ("interrupted", 20)
    summary = {
        "experiment_name": "bandit",
        "seed": 0,
        "num_updates": 20,
        "env_steps": 1,
        "seconds": 1.0,
        "compile_seconds": 1.0,
        "env_steps_per_second": 1.0,
        "num_meta_params": 1,
        "meta_params_sha256": "a",
        "learner": {},
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    assert read_status(tmp_path).state == "finished"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"state": "running"}', b'{"time": 1e400}'])
def test_a_damaged_heartbeat_is_said_and_does_not_hide_other_runs(content, tmp_path):
    (tmp_path / "heartbeat.json").write_bytes(content)
    status = read_status(tmp_path)
    assert status.state == "unreadable" and "heartbeat.json" in status.reason


def test_a_heartbeat_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "heartbeat.json").symlink_to(tmp_path / "elsewhere")
    assert read_status(tmp_path / "run").state == "unreadable"


def test_runs_inside_a_folder_are_found(tmp_path):
    for name in ("b/2", "b/1", "a"):
        write_beat(tmp_path / name, "finished")
    (tmp_path / "b" / "notes").mkdir()
    expected = [tmp_path / "a", tmp_path / "b" / "1", tmp_path / "b" / "2"]
    assert find_runs([tmp_path]) == expected
    assert find_runs([tmp_path / "a", tmp_path]) == expected
    with pytest.raises(InputError, match="is no folder"):
        find_runs([tmp_path / "nowhere"])


def look(path, stop):
    while not stop.is_set():
        holder_of(path)


def test_one_who_looks_does_not_keep_a_job_from_its_run_directory(tmp_path):
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    looks = context.Process(target=look, args=(tmp_path, stop), daemon=True)
    RunLock(tmp_path).release()
    looks.start()
    for _ in range(200):
        RunLock(tmp_path).release()
    stop.set()
    looks.join()
    with RunDirectory(tmp_path, "experiment_name: x\n"):
        assert holder_of(tmp_path) is not None
        with pytest.raises(InputError, match="in use"):
            RunLock(tmp_path)


def test_the_status_is_read_without_jax_and_hydra(tmp_path):
    write_beat(tmp_path / "run", "finished")
    program = (
        "import sys; from podmeta.cli import main; code = main(['status', sys.argv[1]]);"
        "print([name for name in ('jax', 'hydra', 'omegaconf', 'numpy') if name in sys.modules], code)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
