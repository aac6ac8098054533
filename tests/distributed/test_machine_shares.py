"""Shares of a machine for jobs that run at once."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.distributed.machine_shares import shares_of_machine, variables_of_gpus, visible_gpus
from podmeta.distributed.one_machine import cores_of_processes


@pytest.mark.skipif(sys.platform != "linux", reason="processes are kept to cores on Linux only")
def test_cores_and_gpus_are_divided_together(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    first, second = shares_of_machine(2)
    assert [first.cores, second.cores] == cores_of_processes(2)
    assert (first.variables["CUDA_VISIBLE_DEVICES"], second.variables["CUDA_VISIBLE_DEVICES"]) == ("3", "5")
    assert int(first.variables["NPROC"]) >= 1


@given(st.integers(1, 12), st.integers(1, 12))
def test_no_gpu_is_idle_or_shared_without_need(num_jobs, num_gpus):
    names = [str(number) for number in range(num_gpus)]
    variables = variables_of_gpus(num_jobs, names)
    if num_jobs == 1:
        assert variables == [{}]
        return
    of_jobs = [job["CUDA_VISIBLE_DEVICES"].split(",") for job in variables]
    sizes = [len(gpus) for gpus in of_jobs]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    used = [gpu for gpus in of_jobs for gpu in gpus]
    assert set(used) == set(names)
    assert len(used) == max(num_jobs, num_gpus)
    fraction = {float(job.get("XLA_PYTHON_CLIENT_MEM_FRACTION", 0.75)) for job in variables}.pop()
    assert max(used.count(name) for name in names) * fraction <= 0.75 + 1e-2


def test_without_a_gpu_nothing_is_said_of_any():
    assert variables_of_gpus(3, []) == [{}, {}, {}]


def test_the_gpus_that_the_user_names_are_divided(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-1")
    assert visible_gpus() == ["3", "GPU-1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
