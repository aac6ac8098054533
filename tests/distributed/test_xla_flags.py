import os

import pytest

from podmeta.config.compose import compose_job
from podmeta.distributed.set_up import set_up
from podmeta.distributed.xla_flags import use_deterministic_operations
from podmeta.errors import InputError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "--xla_gpu_deterministic_ops=true"),
        ("--xla_dump_to=here", "--xla_dump_to=here --xla_gpu_deterministic_ops=true"),
        ("--xla_gpu_deterministic_ops=true --xla_a=1", "--xla_gpu_deterministic_ops=true --xla_a=1"),
        ("--xla_gpu_deterministic_ops", "--xla_gpu_deterministic_ops"),
    ],
)
def test_the_flag_joins_those_of_the_user_once(monkeypatch, before, after):
    monkeypatch.setenv("XLA_FLAGS", before)
    for _ in range(2):
        use_deterministic_operations()
        assert os.environ["XLA_FLAGS"] == after


def test_a_job_that_asks_for_it_sets_it_and_is_refused_where_the_user_forbids_it(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=False")
    job = compose_job(["environment=bandit", "numerics.deterministic=true"])
    with pytest.raises(InputError, match="but XLA_FLAGS has --xla_gpu_deterministic_ops=False: take that out"):
        set_up(job, print)
