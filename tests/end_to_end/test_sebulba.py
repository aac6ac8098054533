"""Jobs on host environments as a user starts them: whole, stopped, and with every fault an environment may have."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.job import Command, checkpoint_steps, digest, read_rows, read_until

TINY = (
    "architecture=sebulba",
    "environment.factory=tests.environments.host.factories:Script",
    "environment.lifetime_length=40",
    "learner=recurrent",
    "learner.hidden_size=4",
    "outer=actor_critic",
    "outer.num_lifetimes=4",
    "outer.unroll_length=10",
    "architecture.updates_per_call=5",
    "architecture.actor_timeout_s=3",
    "checkpoint.every_updates=5",
    "logging.every_updates=5",
    "evaluation.num_tasks=4",
)
ENDLESS = "num_updates=1000000"


def test_a_job_runs_to_its_end_and_says_where_the_time_went(podmeta: Command, tmp_path: Path):
    said = podmeta.succeeds("train", *TINY, "num_updates=20", f"run_dir={tmp_path}")
    assert "actors spent" in said and "the learner waited for data" in said
    row = read_rows(tmp_path / "metrics.jsonl")[-1]
    assert row["update"] == 20 and row["env_steps"] == 20 * 4 * 10 and row["lag_max"] <= 1
    shares = [row[f"actor_{activity}_share"] for activity in ("inference", "environment", "queue")]
    assert sum(shares) == pytest.approx(1.0)
    assert row["episode_return_mean"] == 6.0  # the script pays 1, 2 and 3
    assert {row["algorithm"] for row in read_rows(tmp_path / "evaluation.jsonl")} == {"learner", "random"}
    assert "going on from update 20" in podmeta.succeeds("train", *TINY, "num_updates=25", f"run_dir={tmp_path}")


@pytest.mark.parametrize("outer", [(), ("outer=evolution", "outer.population_size=4", "outer.lifetimes_per_member=1")])
def test_without_lag_the_same_seed_ends_at_the_same_theta(podmeta: Command, tmp_path: Path, outer):
    common = [override for override in TINY if not (outer and override.startswith("outer"))]
    job = ("train", *common, *outer, "num_updates=10", "architecture.max_lag=0", "evaluation.enabled=false")
    ends = []
    for index, seed in enumerate((3, 3, 4)):
        path = tmp_path / str(index)
        podmeta.succeeds(*job, f"seed={seed}", f"run_dir={path}")
        ends.append(digest(path))
    assert ends[0] == ends[1] != ends[2]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "the script says so"),
        ("nan", "nan as its observation"),
        ("hang", "has not answered for architecture.actor_timeout_s=3 s"),
    ],
)
def test_a_fault_of_an_environment_ends_the_job_with_a_checkpoint(podmeta: Command, tmp_path: Path, how, message):
    start = time.monotonic()
    done = podmeta.run(
        "train", *TINY, ENDLESS, f"environment.options={{strike: 25, how: {how}}}", f"run_dir={tmp_path}"
    )
    assert done.returncode == 1, done.stderr
    assert (
        message in done.stderr.replace("\n", " ") and "factory tests.environments.host.factories:Script" in done.stderr
    )
    assert done.stderr.count("Traceback") == (how == "raise")
    assert checkpoint_steps(tmp_path)[-1] > 0
    assert time.monotonic() - start < 60


def test_a_killed_worker_ends_the_job_and_all_other_workers(podmeta: Command, tmp_path: Path):
    job = podmeta.start("train", *TINY, ENDLESS, "environment.vectorisation=processes", f"run_dir={tmp_path}")
    said = read_until(job, "update ")
    workers = _children(job.pid)
    assert workers
    _kill(workers[-1])
    said += job.communicate(timeout=60)[1]
    assert job.returncode == 1, said
    assert "Script" in said and checkpoint_steps(tmp_path)
    assert not [worker for worker in workers if Path(f"/proc/{worker}/stat").exists()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_asked_to_stop_saves_and_leaves_nobody_behind(podmeta: Command, tmp_path: Path, number):
    job = podmeta.start("train", *TINY, ENDLESS, "environment.vectorisation=processes", f"run_dir={tmp_path}")
    said = read_until(job, "update ")
    workers = _children(job.pid)
    start = time.monotonic()
    job.send_signal(number)
    said += job.communicate(timeout=60)[1]
    assert job.returncode == 0, said
    assert time.monotonic() - start < 10
    assert f"stopped by {number.name}" in said and "Traceback" not in said
    assert not [worker for worker in workers if Path(f"/proc/{worker}/stat").exists()]
    saved = json.loads(
        (tmp_path / "checkpoints" / f"step_{checkpoint_steps(tmp_path)[-1]:08}/manifest.json").read_text()
    )
    assert saved["step"] > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["architecture.actor_devices=3"], "architecture.actor_devices=3"),
        (["outer.num_lifetimes=5"], "outer.num_lifetimes=5 does not divide"),
        (["environment=bandit"], "environment.name=bandit is compiled for the devices: set architecture=anakin"),
        (["architecture=anakin"], "set architecture=sebulba"),
        (["learner.torso=impala"], "learner.torso=impala is for images"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_starts(podmeta: Command, tmp_path: Path, overrides, message):
    base = [override for override in TINY if not any(override.split("=")[0] == o.split("=")[0] for o in overrides)]
    if overrides == ["environment=bandit"]:
        base = [override for override in base if not override.startswith("environment.factory")]
    if overrides == ["architecture=anakin"]:
        base = [override for override in base if override not in TINY[8:10]]
    assert message in podmeta.fails(2, "train", *base, *overrides, f"run_dir={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
