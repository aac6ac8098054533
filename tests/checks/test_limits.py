"""What limits a machine, in words."""

import pytest

from podmeta.checks.base import Figure
from podmeta.checks.limits import limit_in_words
from podmeta.checks.throughput import ENV_STEPS, GEMM_FRACTION, MEMORY_FRACTION


def curve(job, rates, instances=1):
    return [
        Figure(ENV_STEPS, rate, "1/s", setting={"job": job, "environments": size, "instances": instances})
        for size, rate in rates.items()
    ]


def core(gemm, memory):
    return [Figure(GEMM_FRACTION, gemm), Figure(MEMORY_FRACTION, memory)]


def test_a_rate_that_grows_with_the_environments_is_limited_by_launches():
    figures = [*curve("bandit", {64: 1e6, 4096: 6e7}), *curve("ppo_cartpole", {64: 1e6, 4096: 5e7}), *core(0.1, 0.9)]
    assert limit_in_words(figures) == "Launches limit bandit and ppo_cartpole up to 4,096 environments."


@pytest.mark.parametrize(
    ("gemm", "memory", "word"),
    [(0.1, 0.9, "memory"), (0.7, 0.2, "arithmetic, that of matrix products"), (0.1, 0.2, "outside of matrix products")],
)
def test_a_rate_that_no_longer_grows_is_limited_by_what_the_learners_step_comes_up_against(gemm, memory, word):
    said = limit_in_words([*curve("bandit", {64: 1e6, 256: 3.5e6, 1024: 4e6}), *core(gemm, memory)])
    assert word in said.lower() and said.endswith("limits bandit from 256 environments on.")
    assert f"{memory:.0%} of the memory's rate and {gemm:.0%} of the GEMM rate" in said


def test_the_order_of_the_sizes_does_not_matter_and_further_instances_are_another_curve():
    rates = {1024: 4e6, 64: 3.9e6}
    alone = limit_in_words(curve("bandit", rates))
    assert alone == limit_in_words(curve("bandit", dict(sorted(rates.items()))) + curve("bandit", {64: 1e9}, 16))
    assert "from 64 environments on" in alone


def test_nothing_is_said_of_a_single_size():
    assert limit_in_words(curve("bandit", {64: 1e6})) is None
