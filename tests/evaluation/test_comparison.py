"""Comparing groups of runs: the statistics against their definitions, and what is said of the runs."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy.stats import mannwhitneyu

from podmeta.cli import main
from podmeta.errors import InputError
from podmeta.evaluation.comparison import (
    bootstrap,
    collect_scores,
    compare,
    interquartile_mean,
    probability_of_improvement,
)


def matrices(num_settings):
    shape = st.tuples(st.integers(1, 9), st.just(num_settings))
    return st_numpy.arrays(np.float64, shape, elements=st.integers(-5, 5).map(float))


pairs = st.integers(1, 4).flatmap(lambda num_settings: st.tuples(matrices(num_settings), matrices(num_settings)))


@given(matrices(3))
def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end(scores):
    in_order = sorted(scores.ravel())
    left_out = len(in_order) // 4
    assert interquartile_mean(scores) == pytest.approx(np.mean(in_order[left_out : len(in_order) - left_out]))


@given(pairs)
def test_the_probability_of_improvement_is_the_mann_whitney_statistic_over_its_largest(pair):
    one, other = pair
    by_setting = [
        mannwhitneyu(one[:, setting], other[:, setting]).statistic / (len(one) * len(other))
        for setting in range(one.shape[1])
    ]
    assert probability_of_improvement(one, other) == pytest.approx(np.mean(by_setting))
    assert probability_of_improvement(other, one) == pytest.approx(1 - np.mean(by_setting))


def test_the_bootstrap_draws_runs_in_each_setting_by_itself():
    """Of two runs and two settings there are 2⁴ equally likely draws; the interval is that of their means."""
    scores = np.array([[0.0, 10.0], [1.0, 30.0]])
    draws = [
        np.mean([scores[a, 0], scores[b, 0], scores[c, 1], scores[d, 1]])
        for a, b, c, d in itertools.product((0, 1), repeat=4)
    ]
    estimate = bootstrap(lambda values: values.mean(axis=(-2, -1)), scores)
    assert estimate == pytest.approx((scores.mean(), *np.percentile(draws, [2.5, 97.5], method="inverted_cdf")))


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        estimate = bootstrap(interquartile_mean, generator.normal(size=(20, 2)))
        covered += estimate.low <= 0 <= estimate.high
    assert covered >= 86


@pytest.fixture
def runs(tmp_path):
    """(name, {(setting, algorithm): mean}, metric) -> the directory of a run that was meta-tested so."""

    def make(name, means, metric="return", **changes):
        path = tmp_path / name
        path.mkdir()
        rows = [
            {"suite": "experiment", "environment": "bandit", "setting": {"num_arms": arms}, "algorithm": algorithm}
            | {"metric": metric, "mean": mean, "low": mean, "high": mean, "num_tasks": 9}
            | changes
            for (arms, algorithm), mean in means.items()
        ]
        (path / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return make


def means(learner_2, learner_5):
    return {(2, "learner"): learner_2, (2, "random"): 1.0, (5, "learner"): learner_5, (5, "random"): 1.0}


@pytest.mark.parametrize(("metric", "sign"), [("return", 1.0), ("regret", -1.0)])
def test_groups_are_compared_in_every_setting_and_over_all(runs, metric, sign):
    paths = [
        runs(name, {key: sign * mean for key, mean in values.items()}, metric)
        for name, values in {
            "symmetric_0": means(5.0, 11.0),
            "symmetric_1": means(4.0, 11.0),
            "recurrent_0": means(3.0, 1.0),
        }.items()
    ]
    two, five, over_all = compare(collect_scores(paths, []).settings)
    assert two.means["symmetric"].value == sign * 4.5 and two.num_runs == {"symmetric": 2, "recurrent": 1}
    assert two.improvements["recurrent"].value == five.improvements["recurrent"].value == 1
    assert two.setting == "experiment: bandit, num_arms=2"
    # Normalised: (5 - 1) / 4 and (4 - 1) / 4 of two arms, 1 and 1 of five; recurrent (3 - 1) / 4 and 0.
    assert over_all.means["symmetric"].value == pytest.approx(1)  # of 0.75, 1, 1 and 1
    assert over_all.means["recurrent"].value == pytest.approx(0.25)


def test_only_shared_settings_of_the_suites_asked_for_are_compared(runs):
    one = runs("a_0", means(1.0, 2.0))
    other = runs("b_0", {key: mean for key, mean in means(1.0, 2.0).items() if key[0] == 5})
    assert [each.key for each in collect_scores([one, other], []).settings] == ["experiment: bandit, num_arms=5"]
    with pytest.raises(InputError, match="share no setting of tasks"):
        collect_scores([one, other], ["tasks"])


def test_the_instances_of_a_run_are_runs(runs, tmp_path):
    one, other = runs("a_0", means(1.0, 2.0)), runs("b_0", means(1.0, 2.0))
    lines = (one / "evaluation.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    by_instance = [
        {**row, "setting": {**row["setting"], "instance": i}, "mean": row["mean"] + i}
        for i in (0, 1, 2)
        for row in rows
    ]
    (one / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in by_instance))
    two, _ = collect_scores([one, other], []).settings
    assert two.scores["a"].tolist() == [1, 2, 3] and two.scores["b"].tolist() == [1]


def test_the_command_prints_a_table(runs, capsys):
    paths = [runs("a_0", means(2.0, 2.0)), runs("a_1", means(3.0, 2.0)), runs("b_0", means(1.0, 2.0))]
    assert main(["compare", *map(str, paths)]) == 0
    output = capsys.readouterr().out
    assert "n = 2" in output and "all settings" in output and "P(a better" in output


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "name the run directories"),
        (["a_0", "a_1"], "all runs are of one group, a"),
        (["a_0", "c_0"], "c_0/evaluation.jsonl is not there: `podmeta evaluate run="),
        (["a_0", "damaged_0"], "damaged_0/evaluation.jsonl is damaged"),
        (["a_0", "old_0"], "old_0/evaluation.jsonl is not what this version of podmeta writes"),
    ],
)
def test_what_cannot_be_compared_is_told(names, part, runs, tmp_path, capsys):
    runs("a_0", means(1.0, 1.0))
    runs("a_1", means(1.0, 1.0))
    (runs("damaged_0", means(1.0, 1.0)) / "evaluation.jsonl").write_text('{"suite"')
    (runs("old_0", means(1.0, 1.0)) / "evaluation.jsonl").write_text('{"suite": "experiment"}')
    assert main(["compare", *(str(tmp_path / name) for name in names)]) == 2
    assert part in " ".join(capsys.readouterr().err.split())
