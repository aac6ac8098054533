"""One job in several processes, which stand for hosts: the same θ, one decision to stop, and nobody left waiting.

PODMETA_FAULT_TURNS=30 has a job killed or stopped 30 times, at random moments.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pytest

from podmeta.distributed.one_machine import free_port
from podmeta.training.meta_params import restore_meta_params
from tests.end_to_end.job import (
    JOB,
    TIMEOUT_S,
    UPDATES_PER_CALL,
    UPDATES_PER_CHECKPOINT,
    checkpoint_steps,
    digest,
    read_rows,
    read_until,
)

HEARTBEAT_S = 10
LONG = "num_updates=1000000"
ACTOR_CRITIC = (
    "experiment=bandit_actor_critic",
    "outer.num_lifetimes=8",
    "outer.unroll_length=5",
    "outer.num_minibatches=1",
    "environment.lifetime_length=10",
    "learner.hidden_size=12",  # large enough for a gradient that travels in pieces
    "architecture.updates_per_call=2",
    "logging.every_updates=2",
    "num_updates=6",
    "evaluation.enabled=false",
)
SEBULBA = (
    "experiment=sebulba_cartpole",
    "environment=gymnasium/CartPole-v1",
    "environment.lifetime_length=40",
    "learner.hidden_size=4",
    "learner.torso_layers=[4]",
    "outer.num_lifetimes=8",
    "outer.unroll_length=10",
    "outer.num_minibatches=1",
    "architecture.max_lag=0",
    "architecture.actor_threads=1",
    "architecture.updates_per_call=2",
    "logging.every_updates=2",
    "num_updates=6",
    "evaluation.enabled=false",
)


class Together:
    """The processes of one job, each with `num_devices` devices."""

    def __init__(self, podmeta, num_processes: int, num_devices: int, *arguments: str) -> None:
        told = [
            f"distributed.coordinator_address=127.0.0.1:{free_port()}",
            f"distributed.num_processes={num_processes}",
            f"distributed.heartbeat_s={HEARTBEAT_S}",
            f"devices.cpu={num_devices}",
        ]
        self.processes = [
            podmeta.start("train", *arguments, *told, f"distributed.process_id={index}")
            for index in range(num_processes)
        ]

    def end(self) -> tuple[list[int], list[str]]:
        """Waits for all; returns exit codes, and what each has said."""
        said = [process.communicate(timeout=TIMEOUT_S)[1] for process in self.processes]
        return [process.returncode for process in self.processes], said

    def succeed(self) -> list[str]:
        """Waits for all, which must end well; returns what each has said."""
        codes, said = self.end()
        assert codes == [0] * len(codes), said
        return said


def wait_for_checkpoint(run_path: Path) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not checkpoint_steps(run_path):
        assert time.monotonic() < end, "there is no checkpoint"
        time.sleep(0.05)


def fitness(run_path: Path) -> list[float]:
    return [row["fitness_mean"] for row in read_rows(run_path / "metrics.jsonl")]


def meta_params(run_path: Path) -> Sequence[np.ndarray]:
    """θ of the newest checkpoint of a run."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(restore_meta_params(run_path).meta_params)]


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_process_ends_the_others(podmeta, tmp_path, victim):
    together = Together(podmeta, 2, 1, *JOB, LONG, f"run_dir={tmp_path}/run")
    wait_for_checkpoint(tmp_path / "run")
    together.processes[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    codes, said = together.end()
    assert time.monotonic() - killed < HEARTBEAT_S + 10
    assert codes[victim] == -signal.SIGKILL and codes[1 - victim] not in (0, -signal.SIGKILL), said
    # XLA says it where Python comes too late.
    assert "another process of this job has ended" in said[1 - victim] or "another task died" in said[1 - victim]
    step = max(checkpoint_steps(tmp_path / "run"))
    lost = max(row["update"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")) - step
    assert lost <= UPDATES_PER_CHECKPOINT


@pytest.mark.long
def test_a_job_killed_and_stopped_at_any_moment_goes_on_and_ends_where_an_undisturbed_one_does(podmeta, tmp_path):
    moments = random.Random(0)
    for turn in range(int(os.environ.get("PODMETA_FAULT_TURNS", "2"))):
        number, before = (signal.SIGKILL, signal.SIGTERM)[turn % 2], checkpoint_steps(tmp_path / "run")[-1:]
        together = Together(podmeta, 2, 1, *JOB, LONG, f"run_dir={tmp_path}/run")
        read_until(together.processes[0], f"going on from update {before[0]}" if before else "run directory")
        time.sleep(moments.uniform(0.0, 3.0))
        together.processes[moments.randrange(2)].send_signal(number)
        asked = time.monotonic()
        codes, said = together.end()
        assert time.monotonic() - asked < HEARTBEAT_S + 10
        assert (codes == [0, 0]) == (number == signal.SIGTERM), said
        if number == signal.SIGTERM:
            step = checkpoint_steps(tmp_path / "run")[-1]
            assert all(f"stopped by SIGTERM at update {step} of" in each for each in said)
        if checkpoint_steps(tmp_path / "run"):
            logged = [row["update"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")]
            assert max(logged, default=0) - checkpoint_steps(tmp_path / "run")[-1] <= UPDATES_PER_CHECKPOINT
    whole = f"num_updates={checkpoint_steps(tmp_path / 'run')[-1] + UPDATES_PER_CALL}"
    podmeta.succeeds("train", *JOB, whole, f"run_dir={tmp_path}/run")
    podmeta.succeeds("train", *JOB, whole, f"run_dir={tmp_path}/undisturbed")
    assert digest(tmp_path / "run") == digest(tmp_path / "undisturbed")
    longer = f"num_updates={checkpoint_steps(tmp_path / 'run')[-1] + UPDATES_PER_CALL}"
    assert "going on from" in podmeta.succeeds("train", *JOB, longer, "devices.cpu=4", f"run_dir={tmp_path}/run")


@pytest.mark.long
def test_gradients_and_lifetimes_of_all_processes_are_those_of_one_with_all_devices(podmeta, tmp_path):
    Together(podmeta, 2, 2, *ACTOR_CRITIC, f"run_dir={tmp_path}/two").succeed()
    # The lifetimes under way are gathered from both, and go on in one process.
    longer = ("train", *ACTOR_CRITIC, "devices.cpu=4", "num_updates=8")
    assert "going on from update 6" in podmeta.succeeds(*longer, f"run_dir={tmp_path}/two")
    podmeta.succeeds(*longer, f"run_dir={tmp_path}/one")
    assert fitness(tmp_path / "one")[0] == pytest.approx(fitness(tmp_path / "two")[0], abs=1e-6)
    for one, two in zip(meta_params(tmp_path / "one"), meta_params(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("outer", ["vtrace", "evolution"])
def test_sebulba_learns_the_same_in_two_processes(podmeta, tmp_path, outer):
    job = SEBULBA
    if outer == "evolution":
        job = (
            *(each for each in SEBULBA if not each.startswith("outer.")),
            "outer=evolution",
            "outer.population_size=8",
        )
        job = (*job, "outer.lifetimes_per_member=1", "outer.noise_std=1")
    Together(podmeta, 2, 1, *job, f"run_dir={tmp_path}/two").succeed()
    podmeta.succeeds("train", *job, "devices.cpu=2", f"run_dir={tmp_path}/one")
    for one, two in zip(meta_params(tmp_path / "one"), meta_params(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    row = read_rows(tmp_path / "two" / "metrics.jsonl")[-1]
    assert {"actor_environment_share/process_0", "actor_environment_share/process_1"} <= row.keys()


@pytest.mark.long
def test_another_config_is_told_by_both_with_both_named(podmeta, tmp_path):
    port = free_port()
    told = (
        f"distributed.coordinator_address=127.0.0.1:{port}",
        "distributed.num_processes=2",
        f"run_dir={tmp_path}/run",
    )
    processes = [podmeta.start("train", *JOB, f"seed={i}", *told, f"distributed.process_id={i}") for i in range(2)]
    for process in processes:
        said = process.communicate(timeout=TIMEOUT_S)[1]
        assert process.returncode == 2, said
        assert "error: process 0 has config" in said and "but process 1 has config" in said and "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_what_stops_the_first_process_stops_all(podmeta, finished_run, tmp_path):
    (tmp_path / "run").write_text("not a directory", encoding="utf-8")
    codes, said = Together(podmeta, 2, 1, *JOB, f"run_dir={tmp_path}/run").end()
    assert codes == [2, 2], said
    assert "cannot be written" in said[0] and "process 0 of this job has stopped it" in said[1]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("mpirun") is None, reason="needs mpirun (Debian: openmpi-bin)")
def test_mpirun_trains(podmeta, variables, finished_run, tmp_path):
    command = [*podmeta.program, "train", *JOB, "devices.cpu=1", f"run_dir={tmp_path}/run"]
    together = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
    done = subprocess.run(
        [*together, *command], env=variables, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "run") == digest(finished_run)


@pytest.mark.long
def test_gke_variables_are_enough(podmeta, variables, finished_run, tmp_path):
    processes = [
        podmeta.start(
            "train",
            *JOB,
            "distributed.enabled=on",
            "devices.cpu=1",
            f"run_dir={tmp_path}/run",
            JAX_FORCE_TPU_INIT="1",  # JAX looks for these variables where it finds a TPU, or must act as if it did
            TPU_WORKER_HOSTNAMES="localhost,localhost",
            TPU_WORKER_ID=str(index),
            MEGASCALE_COORDINATOR_ADDRESS="localhost",  # else JAX asks Google's metadata server
            MEGASCALE_NUM_SLICES="1",
            MEGASCALE_SLICE_ID="0",
            JAX_COORDINATOR_PORT=str(port),
        )
        for port in [free_port()]
        for index in range(2)
    ]
    said = [process.communicate(timeout=TIMEOUT_S)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert digest(tmp_path / "run") == digest(finished_run)


@pytest.mark.long
def test_early_stopping_stops_all_processes_at_the_same_update(podmeta, tmp_path):
    # θ stays what it is, so no meta-test improves on the first.
    tested = ("outer.learning_rate=1e-30", "evaluation.every_updates=4", "evaluation.periodic_tasks=4")
    said = Together(podmeta, 2, 1, *JOB, *tested, "evaluation.stop_after=2", f"run_dir={tmp_path}/run").succeed()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["num_updates"] == 12 == max(checkpoint_steps(tmp_path / "run"))
    assert "2 meta-tests in a row did not improve" in summary["stopped_early"]
    assert "stopped early" in said[0] and not any("stopped by" in each for each in said)
    assert [row["update"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")] == [4, 8, 12]
