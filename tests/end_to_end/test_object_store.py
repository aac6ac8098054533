"""A job whose run directory is in an object store, and what may happen to the job, its machine and the store."""

import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.job import JOB, OFTEN, TIMEOUT_S, Command, digest, read_rows

ADDRESS = "s3://bucket/runs/first"
IN_STORE = f"run_dir={ADDRESS}"


@pytest.fixture
def machine(variables, store, tmp_path):
    """Makes machines that reach the store, each with an empty disk."""
    commands = []

    def make():
        folder = tmp_path / f"machine_{len(commands)}"
        folder.mkdir()
        own = variables | store.variables | {"XDG_CACHE_HOME": str(folder / "cache")}
        program = (sys.executable, str(Path(__file__).with_name("quick_locks.py")))
        commands.append(Command(own, folder, program))
        return commands[-1]

    yield make
    for command in commands:
        command.kill_all()


def copy_on(command):
    (path,) = Path(command.folder, "cache", "podmeta", "stores").glob("*/copy/first")
    return path


def wait_for_checkpoints(store, number):
    end = time.monotonic() + TIMEOUT_S
    while sum(name.endswith("SHA256SUMS") for name in store.names()) < number:
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.long
def test_the_run_ends_as_in_a_folder_and_other_machines_read_and_test_it(machine, store, finished_run):
    first, second = machine(), machine()
    first.succeeds("train", *JOB, IN_STORE)
    assert digest(copy_on(first)) == digest(finished_run)
    assert "finished" in second.succeeds("status", ADDRESS)
    second.succeeds("export", ADDRESS, "to=exported.npz")
    second.succeeds("report", ADDRESS, "to=report.html")
    assert (second.folder / "exported.npz").exists() and (second.folder / "report.html").exists()
    second.succeeds("evaluate", f"run={ADDRESS}", "evaluation.num_tasks=4")
    rows = read_rows(copy_on(second) / "evaluation.jsonl")
    assert rows and store.get("runs/first/evaluation.jsonl") == (copy_on(second) / "evaluation.jsonl").read_bytes()


@pytest.mark.long
def test_a_machine_that_is_lost_is_replaced_by_another(machine, store, finished_run):
    first, second = machine(), machine()
    process = first.start("train", *JOB, OFTEN, IN_STORE)
    wait_for_checkpoints(store, 2)
    process.kill()
    process.wait()
    second.succeeds("train", *JOB, IN_STORE)
    assert digest(copy_on(second)) == digest(finished_run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("train", *JOB, "devices.cpu=4", "run_dir=s3://no_such/run"),  # as many as this process has
            "s3://no_such/run cannot be listed: The specified bucket does not",
        ),
        (("evaluate", f"run={ADDRESS}"), f"{ADDRESS} holds no run: it has no config.yaml"),
        (("train", *JOB, IN_STORE, "--multirun", "seed=0,1"), f"{IN_STORE} is a URL, and this takes local paths only"),
        (("compare", ADDRESS), f"run={ADDRESS} is a URL, and this takes local paths only"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(refused, store, arguments, message):
    assert f"error: {message}" in refused(*arguments)


def test_missing_credentials_are_told(refused, store, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"error: {ADDRESS} cannot be listed: Unable to locate credentials" in refused("export", ADDRESS, "to=x.npz")
