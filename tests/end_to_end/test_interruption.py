"""Jobs that are killed or asked to stop: the same command goes on, and ends where it would have ended anyway."""

import json
import random
import shlex
import signal
import time
from pathlib import Path

import pytest

from podmeta.storage.run_files import WALL_CLOCK
from podmeta.storage.wall_clock import read_wall_clock
from tests.end_to_end.job import (
    JOB,
    NUM_UPDATES,
    OFTEN,
    UPDATES_PER_CHECKPOINT,
    Command,
    checkpoint_steps,
    digest,
    last_update,
    read_rows,
    read_until,
)

LIFE_S = 1.2  # after the start of the run directory: about as long as the job takes


@pytest.mark.long
@pytest.mark.parametrize(("overrides", "num_kills"), [((), 2), (("checkpoint.asynchronous=true",), 10)])
def test_a_job_killed_again_and_again_ends_bit_for_bit_as_if_it_had_not_been(
    overrides, num_kills, podmeta, finished_run, tmp_path
):
    seed = random.randrange(2**32)
    print(f"random.Random({seed})")  # shown when the test fails
    moments = random.Random(seed)
    command = ("train", *JOB, *overrides, f"run_dir={tmp_path}")
    killed = 0
    for _ in range(num_kills):
        accounted = _size(tmp_path / WALL_CLOCK)
        job = podmeta.start(*command)
        said = read_until(job, "run directory:")
        # A start that is killed earlier is in no account.
        while _size(tmp_path / WALL_CLOCK) == accounted and job.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 1.5 * LIFE_S / num_kills))
        job.send_signal(signal.SIGKILL)
        reached = last_update(tmp_path)
        said += job.communicate()[1]
        killed += job.returncode == -signal.SIGKILL
        assert "warning" not in said and "Traceback" not in said, said
        assert reached - max(checkpoint_steps(tmp_path), default=0) <= UPDATES_PER_CHECKPOINT
    podmeta.succeeds(*command)
    _check_goodput(tmp_path, killed)
    assert digest(tmp_path) == digest(finished_run)
    assert _without_times(tmp_path) == _without_times(finished_run)
    assert not list(tmp_path.rglob(".tmp-*"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_goodput(run_path: Path, killed: int) -> None:
    """Checks that the account of a job that was killed covers all of its time, up to its summary."""
    ended = (run_path / "summary.json").stat().st_mtime
    goodput = json.loads((run_path / "summary.json").read_text(encoding="utf-8"))["goodput"]
    rows = read_wall_clock(run_path, pytest.fail)
    print(goodput, "of", ended - rows[0].began)
    assert goodput["wall_clock_seconds"] == pytest.approx(ended - rows[0].began, rel=0.02)
    assert goodput["num_starts"] == rows[-1].start + 1 >= max(killed, 2)
    parts = [value for name, value in goodput.items() if name.endswith("_seconds") and name != "wall_clock_seconds"]
    assert sum(parts) == pytest.approx(goodput["wall_clock_seconds"])
    assert goodput["share"] * goodput["wall_clock_seconds"] == pytest.approx(goodput["update_seconds"])
    assert min(goodput["restart_seconds"], goodput["startup_seconds"]) > 0


def _without_times(run_path: Path) -> list[dict]:
    times = ("seconds", "env_steps_per_second", "save_seconds", "save_blocked_seconds", "host_memory_bytes_max")
    rows = read_rows(run_path / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name not in times} for row in rows]


# The first comes before the first update, the second between two.
@pytest.mark.long
@pytest.mark.parametrize(("number", "after"), [(signal.SIGTERM, "run directory:"), (signal.SIGINT, "update ")])
def test_a_job_asked_to_stop_saves_and_goes_on_later(podmeta, finished_run, tmp_path, number, after):
    command = ("train", *JOB, OFTEN, f"run_dir={tmp_path}")
    job = podmeta.start(*command)
    said = read_until(job, after)
    job.send_signal(number)
    said += job.communicate()[1]
    assert job.returncode == 0, said
    stopped_at = max(checkpoint_steps(tmp_path))
    assert stopped_at < NUM_UPDATES
    assert f"stopped by {number.name} at update {stopped_at} of {NUM_UPDATES}" in said
    assert not (tmp_path / "summary.json").exists()

    suggested = shlex.split(said.partition("To resume: podmeta ")[2].splitlines()[0])
    assert suggested == ["train", f"run_dir={tmp_path}"]
    if after == "update ":
        podmeta.succeeds("evaluate", f"run={tmp_path}", "evaluation.settings=[{num_arms: 2}]")
        assert {row["algorithm"] for row in read_rows(tmp_path / "evaluation.jsonl")} >= {"learner", "random"}

    goes_on = command if number == signal.SIGTERM else suggested
    assert f"going on from update {stopped_at}" in podmeta.succeeds(*goes_on)
    assert digest(tmp_path) == digest(finished_run)
    assert _without_times(tmp_path) == _without_times(finished_run)


@pytest.mark.long
def test_a_second_interrupt_ends_a_job_at_once(podmeta: Command, finished_run, tmp_path):
    job = podmeta.start("train", *JOB, f"run_dir={tmp_path}")
    read_until(job, "run directory:")
    job.send_signal(signal.SIGINT)
    time.sleep(0.01)  # two signals of one number that arrive together are one
    job.send_signal(signal.SIGINT)
    said = job.communicate()[1]
    assert job.returncode == 130, said
    assert "Traceback" not in said
    podmeta.succeeds("train", *JOB, f"run_dir={tmp_path}")
    assert digest(tmp_path) == digest(finished_run)


@pytest.mark.long
def test_more_updates_go_on_from_the_end_of_a_shorter_job(podmeta, finished_run, tmp_path):
    shorter = [override for override in JOB if not override.startswith("num_updates=")]
    podmeta.succeeds("train", *shorter, f"num_updates={NUM_UPDATES // 2}", f"run_dir={tmp_path}")
    podmeta.succeeds("train", *JOB, f"run_dir={tmp_path}")
    assert digest(tmp_path) == digest(finished_run)
