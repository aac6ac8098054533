"""What a worker of `podmeta bench scaling` finds about an update on the four devices of the tests."""

import pytest

from podmeta.benchmarks.scaling_worker import measure
from podmeta.config.compose import compose_job

SMALL = ["environment.lifetime_length=4", "learner.hidden_size=2", "learner.message_size=2"]


@pytest.fixture(scope="module")
def measured():
    """By population, what is measured of an update of evolution."""
    evolution = ["experiment=bandit", "outer.lifetimes_per_member=1", *SMALL]
    return {size: measure(compose_job([*evolution, f"outer.population_size={size}"])) for size in (16, 48)}


@pytest.mark.long
def test_devices_exchange_one_number_for_every_further_member(measured):
    assert measured[48].collective_bytes - measured[16].collective_bytes == 4 * (48 - 16)
    assert measured[16].collective_bytes > 4 * 16  # the gradient as well


def test_exchanges_take_time_and_are_but_a_part_of_an_update(measured):
    for measurement in measured.values():
        assert 0.0 < measurement.collective_seconds < measurement.seconds
