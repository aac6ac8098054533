"""What `podmeta bench memory` reads off a compiled update."""

import pytest

from podmeta.benchmarks.memory import update_bytes
from podmeta.config.compose import compose_job


@pytest.fixture(scope="module")
def bytes_of():
    """bytes_of(unroll_length, remat_chunk) for a small recurrent learner."""

    def bytes_of(unroll_length, remat_chunk):
        length = f"environment.lifetime_length={unroll_length}", f"outer.unroll_length={unroll_length}"
        small = "learner=recurrent", "outer=actor_critic", "outer.num_lifetimes=16", "environment=bandit"
        return update_bytes(compose_job([*small, *length, f"outer.remat_chunk={remat_chunk}"]))

    return bytes_of


@pytest.mark.long
def test_memory_grows_with_the_unroll_and_chunks_save_most_of_it(bytes_of):
    whole, longer, in_chunks = bytes_of(60, 0), bytes_of(120, 0), bytes_of(120, 10)
    assert 1.7 * whole < longer < 2.3 * whole
    assert in_chunks < longer / 3
