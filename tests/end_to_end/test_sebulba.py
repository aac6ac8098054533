"""Jobs on host environments as a user starts them: whole, stopped, and with every fault that may happen.

PODMETA_FAULT_TURNS=20 has every fault happen 20 times, each time at another moment.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.job import TIMEOUT_S, Command, checkpoint_steps, digest, read_rows, read_until

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

either_signal = pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)], ids=["SIGTERM", "SIGINT"]
)
repeatedly = pytest.mark.parametrize("turn", range(int(os.environ.get("PODMETA_FAULT_TURNS", "1"))))


@pytest.mark.long
def test_a_job_runs_to_its_end_and_says_where_the_time_went(podmeta: Command, tmp_path: Path):
    said = podmeta.succeeds("train", *TINY, "num_updates=20", f"run_dir={tmp_path}")
    assert "actors spent" in said and "the learner waited for data" in said
    assert "with 2 environments, then compiling updates of 40 env steps" in said
    first, *_, row = read_rows(tmp_path / "metrics.jsonl")
    assert row["update"] == 20 and row["env_steps"] == 20 * 4 * 10 and row["lag_max"] <= 1
    shares = [row[f"actor_{activity}_share"] for activity in ("inference", "environment", "queue")]
    assert sum(shares) == pytest.approx(1.0)
    assert row["episode_return_mean"] == 6.0  # the script pays 1, 2 and 3
    # With the reset, an episode takes 4 env steps. Lifetimes of 40 hold whole ones, and the first ones are staggered.
    assert 48 <= row["num_finished_episodes"] <= 52 and row["num_cut_off_episodes"] == 0
    assert first["num_cut_off_episodes"] == 2
    assert {row["algorithm"] for row in read_rows(tmp_path / "evaluation.jsonl")} == {"learner", "random"}
    said = podmeta.succeeds("train", *TINY, "num_updates=25", f"run_dir={tmp_path}")
    assert "going on from update 20" in said
    assert "actors spent" not in said  # five updates say too little


@pytest.mark.parametrize(
    "outer",
    [
        (),
        pytest.param(
            ("outer=evolution", "outer.population_size=4", "outer.lifetimes_per_member=1"), marks=pytest.mark.long
        ),
    ],
)
def test_without_lag_the_same_seed_ends_at_the_same_theta(podmeta: Command, tmp_path: Path, outer):
    common = [override for override in TINY if not (outer and override.startswith("outer"))]
    job = ("train", *common, *outer, "num_updates=10", "architecture.max_lag=0", "evaluation.enabled=false")
    ends = []
    for index, seed in enumerate((3, 3, 4)):
        path = tmp_path / str(index)
        podmeta.succeeds(*job, f"seed={seed}", f"run_dir={path}")
        ends.append(digest(path))
    assert ends[0] == ends[1] != ends[2]


@repeatedly
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "the script says so"),
        pytest.param("nan", "nan as its observation", marks=pytest.mark.long),
        ("hang", "has not answered for architecture.actor_timeout_s=3 s"),
    ],
)
def test_a_fault_of_an_environment_ends_the_job_with_a_checkpoint(podmeta: Command, tmp_path: Path, how, message, turn):
    fault = f"environment.options={{strike: {25 + 7 * turn % 15}, how: {how}}}"
    job = podmeta.start("train", *TINY, ENDLESS, fault, f"run_dir={tmp_path}", FAULT=f"{tmp_path}/fault")
    said = _ends_in_time(job, 1, tmp_path, patience_s=3.0 if how == "hang" else 0.0)
    assert message in said.replace("\n", " ") and "factory tests.environments.host.factories:Script" in said
    assert said.count("Traceback") == (how == "raise")


@repeatedly
@pytest.mark.parametrize(
    ("part", "where"),
    [
        ("actor_rollout.ActorRollout.begin", "actor "),
        pytest.param("learner_thread.LearnerThread.publish", "", marks=pytest.mark.long),
    ],
)
def test_a_fault_of_an_actor_or_of_the_learner_ends_the_job_with_a_checkpoint(
    podmeta: Command, tmp_path: Path, part, where, turn
):
    job = Command(podmeta.variables, podmeta.folder, (sys.executable, "-m", "tests.end_to_end.sabotaged")).start(
        part, str(5 + turn), "train", *TINY, ENDLESS, f"run_dir={tmp_path}", FAULT=f"{tmp_path}/fault"
    )
    said = _ends_in_time(job, 1, tmp_path)
    assert f"failed: {where or 'learner'}" in said and "sabotage" in said and said.count("Traceback") == 1


@pytest.mark.long
@repeatedly
def test_a_pool_that_hangs_in_a_program_ends_the_job_with_a_checkpoint(podmeta: Command, tmp_path: Path, turn):
    pool = [override for override in TINY if not override.startswith("environment.factory")]
    job = Command(podmeta.variables, podmeta.folder, (sys.executable, "-m", "tests.end_to_end.sabotaged")).start(
        "compiled_step",
        str(200 + 7 * turn),
        "train",
        *pool,
        "environment=envpool_cartpole",
        "environment.lifetime_length=4000",  # so that no lifetime starts, which would fail and not hang
        ENDLESS,
        f"run_dir={tmp_path}",
        FAULT=f"{tmp_path}/fault",
    )
    said = _ends_in_time(job, 1, tmp_path, patience_s=3.0)
    assert "envpool CartPole-v1" in said and "has not answered for architecture.actor_timeout_s=3 s" in said


@pytest.mark.long
@repeatedly
@either_signal
def test_a_job_asked_to_stop_does_not_wait_for_an_update_that_takes_long(
    podmeta: Command, tmp_path: Path, number, turn
):
    job = _start_with_an_endless_update(podmeta, tmp_path, after=5 + turn)
    _wait_for(tmp_path / "updating")
    (tmp_path / "fault").touch()
    job.send_signal(number)
    said = _ends_in_time(job, 0, tmp_path)
    assert f"stopped by {number.name} at update {5 + turn}" in said and "Traceback" not in said
    assert checkpoint_steps(tmp_path)[-1] == 5 + turn


@pytest.mark.long
@repeatedly
def test_an_actor_that_fails_during_a_long_update_ends_the_job(podmeta: Command, tmp_path: Path, turn):
    fault = f"environment.options={{strike: {61 + turn % 10}, how: raise_meanwhile}}"
    job = _start_with_an_endless_update(podmeta, tmp_path, fault, "environment.lifetime_length=400", after=5)
    said = _ends_in_time(job, 1, tmp_path)
    assert "the script says so" in said and said.count("Traceback") == 1
    assert checkpoint_steps(tmp_path)[-1] == 5


@pytest.mark.long
def test_a_job_asked_to_stop_does_not_wait_for_environments_that_do_not_start(podmeta: Command, tmp_path: Path):
    hangs = "environment.options={strike: 0}"
    job = podmeta.start("train", *TINY, ENDLESS, hangs, f"run_dir={tmp_path}", FAULT=f"{tmp_path}/fault")
    read_until(job, "run directory: ")
    time.sleep(2.0)
    (tmp_path / "fault").touch()
    job.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM at update 0 " in _ends_in_time(job, 0, tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads are kept to cores on Linux only")
@pytest.mark.skipif(os.cpu_count() == 1, reason="there is but one core")
def test_actors_have_their_core_to_themselves(podmeta: Command, tmp_path: Path):
    every = os.sched_getaffinity(0)
    job = podmeta.start("train", *TINY, ENDLESS, "architecture.actor_cores=1", f"run_dir={tmp_path}")
    read_until(job, "update ")
    threads = [int(task.name) for task in Path(f"/proc/{job.pid}/task").iterdir()]
    kept_to = [os.sched_getaffinity(thread) for thread in threads]
    job.send_signal(signal.SIGTERM)
    assert kept_to.count({min(every)}) >= 2  # the actors, of which there are two
    assert os.sched_getaffinity(0) == every and every not in kept_to
    assert kept_to[threads.index(job.pid)] == every - {min(every)}
    job.communicate(timeout=30)
    assert job.returncode == 0


@pytest.mark.long
@repeatedly
def test_a_killed_worker_ends_the_job_and_all_other_workers(podmeta: Command, tmp_path: Path, turn):
    processes = "environment.vectorisation=processes"
    job = podmeta.start("train", *TINY, ENDLESS, processes, f"run_dir={tmp_path}", FAULT=f"{tmp_path}/fault")
    read_until(job, "update ")
    workers = _workers(job.pid)
    assert workers
    time.sleep(0.01 * turn)
    (tmp_path / "fault").touch()
    os.kill(workers[turn % len(workers)], signal.SIGKILL)
    assert "Script" in _ends_in_time(job, 1, tmp_path)


@pytest.mark.long
@repeatedly
@either_signal
def test_a_job_asked_to_stop_saves_and_leaves_nobody_behind(podmeta: Command, tmp_path: Path, number, turn):
    processes = "environment.vectorisation=processes"
    job = podmeta.start("train", *TINY, ENDLESS, processes, f"run_dir={tmp_path}", FAULT=f"{tmp_path}/fault")
    read_until(job, "update ")
    time.sleep(0.01 * turn)
    (tmp_path / "fault").touch()
    job.send_signal(number)
    said = _ends_in_time(job, 0, tmp_path)
    assert f"stopped by {number.name}" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["architecture.actor_devices=8"], "architecture.actor_devices=8"),
        (["outer.num_lifetimes=5"], "outer.num_lifetimes=5 makes 5 lifetimes, which do not divide"),
        (
            ["environment=bandit", "architecture=sebulba"],
            "environment.name=bandit is compiled for the devices: set architecture=anakin",
        ),
        (["architecture=anakin"], "set architecture=sebulba"),
        (["learner.torso=impala"], "learner.torso=impala is for images"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_starts(refused, tmp_path: Path, overrides, message):
    base = [override for override in TINY if not any(override.split("=")[0] == o.split("=")[0] for o in overrides)]
    if overrides[0] == "environment=bandit":
        base = [override for override in base if not override.startswith("environment.factory")]
    if overrides == ["architecture=anakin"]:
        base = [override for override in base if override not in TINY[8:10]]
    assert message in refused("train", *base, *overrides, f"run_dir={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def _start_with_an_endless_update(
    podmeta: Command, run_path: Path, *overrides: str, after: int
) -> subprocess.Popen[str]:
    return Command(podmeta.variables, podmeta.folder, (sys.executable, "-m", "tests.end_to_end.sabotaged")).start(
        "update",
        str(after),
        "train",
        *TINY,
        ENDLESS,
        *overrides,
        f"run_dir={run_path}",
        FAULT=f"{run_path}/fault",
        UPDATING=f"{run_path}/updating",
    )


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _ends_in_time(job: subprocess.Popen[str], code: int, run_path: Path, patience_s: float = 0.0) -> str:
    """Waits for the end of a job: within 10 s of its fault and what it waits for, with a checkpoint, and alone."""
    said = job.communicate(timeout=TIMEOUT_S)[1]
    took = time.time() - (run_path / "fault").stat().st_mtime
    assert job.returncode == code, said
    assert took < 10.0 + patience_s
    newest = run_path / "checkpoints" / f"step_{checkpoint_steps(run_path)[-1]:08}"
    assert json.loads((newest / "manifest.json").read_text(encoding="utf-8"))["step"] == checkpoint_steps(run_path)[-1]
    assert not _processes_of(run_path)
    return said


def _processes_of(run_path: Path) -> list[int]:
    """The processes that have been told, or have inherited, where the run's fault is to be noted."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"FAULT={run_path}/fault\0" in (process / "environ").read_text(encoding="utf-8"):
                found.append(int(process.name))
    return found


def _workers(pid: int) -> list[int]:
    """The worker processes of a job."""
    return [
        each
        for each in _processes_of_parent(pid)
        if "spawn_main" in Path(f"/proc/{each}/cmdline").read_text(encoding="utf-8")
    ]


def _processes_of_parent(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    ]
