"""What a command line with several values stands for."""

import pytest

from podmeta.config.sweeps import expand_sweep
from podmeta.errors import InputError


def test_all_combinations_are_made_and_lists_are_left_whole():
    stages = "stages=[{environment: bandit, num_updates: 3}]"
    assert expand_sweep(["experiment=bandit", "outer.learning_rate=0.01,0.03", "seed=range(0,2)", stages]) == [
        ["experiment=bandit", "outer.learning_rate=0.01", "seed=0", stages],
        ["experiment=bandit", "outer.learning_rate=0.01", "seed=1", stages],
        ["experiment=bandit", "outer.learning_rate=0.03", "seed=0", stages],
        ["experiment=bandit", "outer.learning_rate=0.03", "seed=1", stages],
    ]


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [(["seed=1"], ["--multirun", "seed=0,1,2"]), (["seed=0,1", "stages=[{"], ["stages=[{", "KEY=VALUE"])],
)
def test_what_is_no_sweep_is_told(overrides, parts):
    with pytest.raises(InputError) as refusal:
        expand_sweep(overrides)
    assert [part for part in parts if part not in str(refusal.value)] == []
