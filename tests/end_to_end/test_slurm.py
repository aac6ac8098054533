"""Jobs that submitit runs, preempts and runs again; on this machine, with submitit's stand-in for a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch.slurm import with_run_dirs
from podmeta.config.compose import compose_job
from podmeta.errors import InputError
from tests.end_to_end.job import JOB, OFTEN, REPOSITORY, checkpoint_steps, digest

submitit = pytest.importorskip("submitit")


def submit(variables, folder, *arguments):
    command = [sys.executable, str(REPOSITORY / "launch" / "slurm.py"), "--cluster", "local", "--logs", str(folder)]
    return subprocess.run([*command, *arguments], env=variables, cwd=folder, capture_output=True, encoding="utf-8")


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.1)


@pytest.mark.long
def test_a_job_that_is_preempted_goes_on_and_ends_at_the_same_meta_parameters(variables, finished_run, tmp_path):
    run = tmp_path / "run" / "0"
    starting = f"""
import submitit, sys
from launch.slurm import Training
executor = submitit.AutoExecutor(folder={str(tmp_path)!r}, cluster="local")
executor.update_parameters(timeout_min=5)
words = [sys.executable, "-u", "-m", "podmeta", "train", *{[*JOB, OFTEN, f"run_dir={run}"]!r}]
job = executor.submit(Training(words))
print(job.job_id, flush=True)
print(job.result(), flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", starting],
        env=variables,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    job_id = process.stdout.readline().strip()
    wait_until(lambda: checkpoint_steps(run))
    (task,) = Path(f"/proc/{job_id}/task/{job_id}/children").read_text(encoding="utf-8").split()
    os.kill(int(task), signal.SIGUSR2)  # what SLURM sends before it takes a node away
    output, _ = process.communicate(timeout=240)
    log = (tmp_path / f"{job_id}_0_log.out").read_text(encoding="utf-8") + (tmp_path / f"{job_id}_0_log.err").read_text(
        encoding="utf-8"
    )
    assert output.strip() == "0", log
    assert "stopped by SIGTERM" in log and log.count("run directory") == 2, log
    assert digest(run) == digest(finished_run)


@pytest.mark.long
def test_a_sweep_is_a_job_for_each_combination(variables, tmp_path):
    done = submit(variables, tmp_path, "--multirun", *JOB, "num_updates=4", "seed=1,2", f"run_dir={tmp_path}/sweep")
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        f"run_dir={tmp_path}/sweep/{number}" for number in range(2)
    ]
    summaries = [tmp_path / "sweep" / str(number) / "summary.json" for number in range(2)]
    wait_until(lambda: all(summary.exists() for summary in summaries))
    assert [json.loads(summary.read_text(encoding="utf-8"))["seed"] for summary in summaries] == [1, 2]


def test_wrong_input_is_told_and_nothing_submitted(variables, tmp_path):
    done = submit(variables, tmp_path, "experiment=bandti")
    assert done.returncode == 2 and "experiment=bandti does not exist" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_run_directory_is_fixed_when_a_job_is_submitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = with_run_dirs([["run_dir=h(e) re", "experiment=bandit", f"seed={seed}"] for seed in (1, 2)])
    assert first == ["experiment=bandit", "seed=1", f"run_dir={tmp_path}/h(e) re/0"]
    assert second[-1] == f"run_dir={tmp_path}/h(e) re/1"
    assert compose_job(with_run_dirs([["experiment=bandit"]])[0]).run_dir.startswith(f"{tmp_path}/runs/bandit/")
    with pytest.raises(InputError):
        with_run_dirs([["seed=-1"]])
