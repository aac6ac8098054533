"""The key of a user and what it signs."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.signature import SIGNATURE, is_signed, sign

CONFIG = "seed: 0\n"


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A user's state folder, which is not there yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def signed(run, config=CONFIG):
    return is_signed(run, config.encode())


def test_what_was_signed_holds_and_nothing_else_does(state, run):
    assert not signed(run)
    sign(run, CONFIG)
    assert signed(run) and not signed(run, "seed: 1\n")
    (run / SIGNATURE).write_text("0" * 64, encoding="utf-8")
    assert not signed(run)


def test_the_signature_holds_in_its_folder_only(state, run, tmp_path):
    sign(run, CONFIG)
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "link").symlink_to(run)
    assert signed(tmp_path / "link") and not signed(tmp_path / "copy")


def test_the_key_is_made_once_is_private_and_is_not_in_the_run(state, run):
    sign(run, CONFIG)
    [key] = [path for path in state.rglob("*") if path.is_file()]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    content = key.read_bytes()
    sign(run, "seed: 1\n")
    assert key.read_bytes() == content and [path.name for path in run.iterdir()] == [SIGNATURE]
    signature = (run / SIGNATURE).read_bytes()
    assert content not in signature and content.hex().encode() not in signature


def test_the_signature_of_another_user_does_not_hold(state, run, tmp_path, monkeypatch):
    sign(run, CONFIG)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert not signed(run)
    sign(tmp_path, CONFIG)
    assert not signed(run)


def test_reading_makes_no_key(state, run):
    signed(run)
    assert not state.exists()


@pytest.mark.parametrize("home", ["file/below", "/proc/podmeta"])
def test_without_a_home_to_write_to_a_run_stays_unsigned(run, tmp_path, monkeypatch, home):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (run / SIGNATURE).write_text("of an earlier config", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / home))
    sign(run, CONFIG)
    assert not signed(run) and not (run / SIGNATURE).exists()


@pytest.mark.parametrize("change", ["mode", "link", "short", "folder"])
def test_a_key_that_others_could_know_does_not_count(state, run, change):
    sign(run, CONFIG)
    key = state / "podmeta" / "run_key"
    if change == "mode":
        key.chmod(0o640)
    elif change == "link":
        key.rename(state / "elsewhere")
        key.symlink_to(state / "elsewhere")
    elif change == "short":
        key.write_bytes(b"")
    else:
        key.unlink()
        key.mkdir()
    assert not signed(run)
    sign(run, CONFIG)
    assert not signed(run)


def test_a_key_within_the_run_does_not_count(run, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(run / "state"))
    sign(run, CONFIG)
    assert not signed(run) and not list(run.iterdir())


def test_a_relative_state_folder_is_none(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    sign(run, CONFIG)
    assert signed(run) and (tmp_path / "home/.local/state/podmeta/run_key").exists() and not Path("state").exists()


def test_processes_that_make_the_key_at_once_make_one(state, tmp_path):
    program = (
        "import sys, pathlib; from podmeta.storage.signature import sign; sys.stdin.read(1); "
        "sign(pathlib.Path(sys.argv[1]), 'seed: 0\\n')"
    )
    runs = [tmp_path / f"run_{number}" for number in range(4)]
    processes = []
    for path in runs:
        path.mkdir()
        command = [sys.executable, "-c", program, str(path)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"JAX_PLATFORMS": "cpu"}))
    for process in processes:
        process.communicate(b"x")
    assert all(signed(path) for path in runs)
    assert [path.name for path in (state / "podmeta").iterdir()] == ["run_key"]


def test_a_run_directory_is_signed_when_its_job_starts(state, tmp_path):
    from podmeta.storage.provenance import describe_provenance

    with RunDirectory(tmp_path / "new", CONFIG) as directory:
        assert not (directory.path / SIGNATURE).exists()
        directory.write_start(describe_provenance([]))
    assert signed(tmp_path / "new")
