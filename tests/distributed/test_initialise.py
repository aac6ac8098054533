"""Starting as one of several processes: told of them, started by Open MPI, or alone."""

import os
import subprocess
import sys

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.schema import DistributedConfig
from podmeta.distributed import initialise
from podmeta.distributed.one_machine import free_port
from podmeta.errors import InputError
from tests.end_to_end.job import REPOSITORY

SCRIPT = """
import jax
from jax.experimental.multihost_utils import process_allgather
from podmeta.config.schema import DistributedConfig
from podmeta.distributed.initialise import start
from podmeta.distributed.devices import set_up_devices

start(DistributedConfig({}))
set_up_devices(2)
print(jax.process_index(), jax.process_count(), jax.device_count(), process_allgather(jax.process_index()).tolist())
"""


@pytest.mark.long
def test_two_processes_meet_and_exchange():
    address = f"127.0.0.1:{free_port()}"
    told = [f"coordinator_address={address!r}, num_processes=2, process_id={index}" for index in range(2)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(each)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for each in told
    ]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    for index, (out, _) in enumerate(said):  # Gloo prints to the same stream, at times within a line
        assert f"{index} 2 4 [0, 1]" in out.decode()


@pytest.mark.parametrize(
    ("config", "variables", "several"),
    [
        (DistributedConfig(), {}, False),
        (DistributedConfig(), {"OMPI_COMM_WORLD_SIZE": "2"}, True),
        (DistributedConfig(), {"OMPI_COMM_WORLD_SIZE": "1"}, False),
        (DistributedConfig(), {"SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"}, True),
        (
            DistributedConfig(),
            {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
            False,
        ),  # a batch script itself
        (DistributedConfig(enabled="off"), {"OMPI_COMM_WORLD_SIZE": "2"}, False),
        (DistributedConfig(enabled="on"), {}, True),
        (DistributedConfig(coordinator_address="10.0.0.1:80", num_processes=2, process_id=1), {}, True),
    ],
)
def test_other_processes_are_looked_for_where_there_are_any(config, variables, several, monkeypatch):
    asked = []
    monkeypatch.setattr(initialise.jax.distributed, "initialize", lambda **told: asked.append(told))
    for name in ("OMPI_COMM_WORLD_SIZE", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    initialise.start(config)
    assert len(asked) == several
    if several:
        assert asked[0]["heartbeat_timeout_seconds"] == 30


@pytest.mark.parametrize(
    ("address", "bound"),
    [("127.0.0.1:80", True), ("localhost:80", True), ("[::1]:80", True), ("10.0.0.1:80", False), ("host:80", False)],
)
def test_only_a_loopback_address_is_bound_itself(address, bound, monkeypatch):
    asked = []
    monkeypatch.setattr(initialise.jax.distributed, "initialize", lambda **told: asked.append(told))
    initialise.start(DistributedConfig(coordinator_address=address, num_processes=2, process_id=0))
    assert asked[0]["coordinator_bind_address"] == (address if bound else None)


def test_looking_for_others_where_nobody_is_is_told_with_the_cure():
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format("enabled='on'")], env=environment, capture_output=True, encoding="utf-8"
    )
    said = done.stderr.splitlines()[-1]
    assert "InputError: distributed.enabled=on, but JAX finds nothing" in said and "distributed.enabled=off" in said


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["num_processes=2"], ["distributed.coordinator_address"]),
        (["coordinator_address=host", "num_processes=2", "process_id=0"], ["coordinator_address=host", "host:port"]),
        (["coordinator_address=host:80", "num_processes=2"], ["process_id=-1", "num_processes=2"]),
        (["coordinator_address=host:80", "num_processes=2", "process_id=2"], ["process_id=2"]),
        (["enabled=perhaps"], ["distributed.enabled=perhaps", "auto, on, off"]),
    ],
)
def test_what_does_not_fit_together_is_told(overrides, parts):
    with pytest.raises(InputError) as refusal:
        compose_job([f"distributed.{override}" for override in overrides])
    assert [part for part in parts if part not in str(refusal.value)] == []
