"""Shares of a machine for jobs that run at once."""

from hypothesis import given
from hypothesis import strategies as st

from podmeta.distributed.machine_shares import make_shares, visible_gpus

COUNTS = st.integers(1, 12)


@given(COUNTS, COUNTS)
def test_cores_are_divided_evenly_and_none_is_idle_or_shared_without_need(num_jobs, num_cores):
    shares = make_shares(num_jobs, range(num_cores), num_cores, [])
    sizes = [len(share.cores) for share in shares]
    used = [core for share in shares for core in share.cores]
    assert len(shares) == num_jobs and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    if num_jobs <= num_cores:
        assert sorted(used) == list(range(num_cores))
    else:
        assert set(used) == set(range(num_cores))
    assert all(1 <= int(share.variables["NPROC"]) <= max(1, num_cores // num_jobs) for share in shares)


def test_gpus_are_divided_and_shared_with_their_memory_where_there_are_too_few():
    own = make_shares(2, [], 8, ["0", "2", "5"])
    assert [share.variables["CUDA_VISIBLE_DEVICES"] for share in own] == ["0", "2,5"]
    assert all("XLA_PYTHON_CLIENT_MEM_FRACTION" not in share.variables for share in own)
    shared = make_shares(3, [], 8, ["0", "1"])
    assert [share.variables["CUDA_VISIBLE_DEVICES"] for share in shared] == ["0", "1", "0"]
    assert {share.variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] for share in shared} == {"0.375"}
    assert all("CUDA_VISIBLE_DEVICES" not in share.variables for share in make_shares(3, [0], 1, []))


def test_the_gpus_that_the_user_names_are_divided(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-1")
    assert visible_gpus() == ["3", "GPU-1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
