"""A SLURM of one machine, real but for its size: two tasks meet, and a job that is put back in the queue goes on."""

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from podmeta.distributed.one_machine import free_port
from tests.end_to_end.job import JOB, NUM_UPDATES, OFTEN, TIMEOUT_S, checkpoint_steps, digest

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason="needs SLURM and munge (Debian: slurm-wlm and munge)"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="SLURM's daemons need root"),
]

# Credentials live for five seconds, for SLURM holds a job that was put back until those of its last start are void.
CONFIG = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def slurm(variables, tmp_path_factory) -> Iterator[dict[str, str]]:
    """A cluster of this machine alone, on its loopback interface; yields the variables of its user."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key, socket_path = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    places = {"folder": folder, "host": socket.gethostname(), "cpus": os.cpu_count()}
    ports = {"controller_port": free_port(), "node_port": free_port()}
    (folder / "slurm.conf").write_text(CONFIG.format(**places, **ports), encoding="utf-8")
    environment = variables | {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_path}"]
    munge += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    daemons = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"])
    ]
    try:
        if not happens(lambda: "idle" in ask(environment, "sinfo", "--noheader", "--format=%T"), 60):
            logs = [path.read_text(encoding="utf-8")[-500:] for path in folder.glob("slurm*.log")]
            pytest.skip(f"SLURM's daemons do not come up on this machine: {logs}")
        yield environment
    finally:
        ask(environment, "scancel", "--user=root", "--signal=KILL")
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)


def ask(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=60).stdout


def happens(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def test_two_tasks_train_and_a_job_put_back_in_the_queue_goes_on(slurm, podmeta, finished_run, tmp_path):
    run, log, script = tmp_path / "run", tmp_path / "log", tmp_path / "job.sh"
    train = shlex.join([*podmeta.program, "train", *JOB, OFTEN, "devices.cpu=1", f"run_dir={run}"])
    script.write_text(f"#!/bin/bash\nsrun {train}\n", encoding="utf-8")
    options = ["--ntasks=2", "--requeue", "--open-mode=append", f"--output={log}", f"--chdir={tmp_path}", "--parsable"]
    job = ask(slurm, "sbatch", *options, str(script)).strip()
    assert happens(lambda: bool(checkpoint_steps(run)))
    ask(slurm, "scontrol", "requeue", job)
    step = max(checkpoint_steps(run))
    assert happens(
        lambda: log.read_text(encoding="utf-8").count("run directory") == 2 or (run / "summary.json").exists()
    )
    assert happens(lambda: not ask(slurm, "squeue", "--noheader").strip())
    said = log.read_text(encoding="utf-8")
    assert "DUE TO JOB REQUEUE" in said and "going on from update" in said, said
    assert 0 < step < NUM_UPDATES == max(checkpoint_steps(run)), said
    assert digest(run) == digest(finished_run)
