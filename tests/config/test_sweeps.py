"""What a command line with several values stands for."""

import pytest

from podmeta.config.sweeps import Interval, expand_sweep, search_space
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
    [
        (["seed=1"], ["--multirun", "seed=0,1,2"]),
        (["seed=0,1", "stages=[{"], ["stages=[{", "KEY=VALUE"]),
        (["seed=int(interval(0,9))"], ["seed=int(interval(0,9))", "--trials N"]),
    ],
)
def test_what_is_no_sweep_is_told(overrides, parts):
    with pytest.raises(InputError) as refusal:
        expand_sweep(overrides)
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_what_a_sampler_chooses_from_is_read_in_the_forms_of_hydra():
    space = search_space(
        [
            "experiment=bandit",
            "outer.learning_rate=tag(log,interval(0.001,1))",
            "outer.noise_std=interval(1,2)",
            "seed=int(interval(1,8))",
            "learner.hidden_size=range(4,17,4)",
            "learner=symmetric,recurrent",
            "run_dir=a,b",
        ]
    )
    assert space.fixed == ["experiment=bandit", "run_dir=a,b"]
    assert space.keys == {
        "outer.learning_rate": Interval(0.001, 1.0, is_integer=False, is_log=True),
        "outer.noise_std": Interval(1.0, 2.0, is_integer=False, is_log=False),
        "seed": Interval(1, 8, is_integer=True, is_log=False),
        "learner.hidden_size": Interval(4, 16, is_integer=True, is_log=False, step=4),
        "learner": ("symmetric", "recurrent"),
    }
    extremes = space.extremes()
    assert len(extremes) == 10 and all(len(words) == 7 for words in extremes)
    assert {word for words in extremes for word in words if word.startswith("learner.")} == {
        "learner.hidden_size=4",
        "learner.hidden_size=16",
    }


@pytest.mark.parametrize("value", ["interval(2,1)", "tag(log,interval(0,1))", "interval(1,1)"])
def test_an_interval_that_is_none_is_refused(value):
    with pytest.raises(InputError, match="from a smaller to a larger"):
        search_space([f"outer.learning_rate={value}"])


def test_a_search_needs_something_to_search_over():
    with pytest.raises(InputError, match="--trials needs a key"):
        search_space(["experiment=bandit", "seed=1"])
