"""Comparing groups of runs: intervals that hold at few runs, and what is said of the runs."""

import json

import numpy as np
import pytest
from scipy.stats import norm

from podmeta.cli import main
from podmeta.errors import InputError
from podmeta.evaluation.comparison import SettingScores, collect_scores, compare, few_runs_warning
from podmeta.storage.json_files import encode
from podmeta.storage.run_files import Summary


def scores_of(groups, settings=1):
    """Groups of [num_runs, settings] scores as `collect_scores` hands them out."""
    return [
        SettingScores(str(number), "return", columns, columns)
        for number in range(settings)
        for columns in [{group: np.asarray(values)[:, number] for group, values in groups.items()}]
    ]


@pytest.mark.long
@pytest.mark.parametrize("num_runs", [3, 5])
@pytest.mark.parametrize("settings", [1, 4])
def test_intervals_over_few_seeds_cover_the_truth_as_often_as_they_say(num_runs, settings):
    """Scores of a run are normal, and alike in all settings, because they come from one θ."""
    generator = np.random.default_rng(0)
    shift = 1.0  # b is better by 1 standard deviation, in what a run's θ adds to all settings
    true_probability = norm.cdf(-shift / 2**0.5)
    covered = []
    for _ in range(400):
        groups = {
            group: mean + generator.normal(size=(num_runs, 1)) * np.ones(settings)
            for group, mean in {"a": 0.0, "b": shift}.items()
        }
        compared = compare(scores_of(groups, settings))[-1]
        mean, better = compared.means["b"], compared.improvements["b"]
        covered.append((mean.low <= shift <= mean.high, better.low <= true_probability <= better.high))
    by_mean, by_probability = np.mean(covered, axis=0)
    assert 0.93 <= by_mean <= 0.98
    assert by_probability >= 0.93


@pytest.mark.parametrize(("num_runs", "warned"), [(2, True), (4, True), (5, False)])
def test_a_warning_names_the_groups_of_few_runs(num_runs, warned):
    groups = {"a": np.arange(num_runs)[:, None] * 1.0, "b": np.arange(9)[:, None] * 1.0}
    warning = few_runs_warning(compare(scores_of(groups)))
    assert (warning is not None) == warned
    assert not warned or (f"a has {num_runs}" in warning and "b has" not in warning)


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
        (path / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
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
    assert over_all.means["symmetric"].value == pytest.approx((1 + 0.875) / 2)
    assert over_all.means["recurrent"].value == pytest.approx(0.25)


def test_only_shared_settings_of_the_suites_asked_for_are_compared(runs):
    one = runs("a_0", means(1.0, 2.0))
    other = runs("b_0", {key: mean for key, mean in means(1.0, 2.0).items() if key[0] == 5})
    assert [each.key for each in collect_scores([one, other], []).settings] == ["experiment: bandit, num_arms=5"]
    with pytest.raises(InputError, match="share no setting of tasks"):
        collect_scores([one, other], ["tasks"])


def test_the_instances_of_a_run_are_runs(runs, tmp_path):
    one, other = runs("a_0", means(1.0, 2.0)), runs("b_0", means(1.0, 2.0))
    lines = (one / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    by_instance = [
        {**row, "setting": {**row["setting"], "instance": i}, "mean": row["mean"] + i}
        for i in (0, 1, 2)
        for row in rows
    ]
    (one / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in by_instance), encoding="utf-8")
    two, _ = collect_scores([one, other], []).settings
    assert two.scores["a"].tolist() == [1, 2, 3] and two.scores["b"].tolist() == [1]


def test_the_command_prints_a_table(runs, capsys):
    paths = [runs("a_0", means(2.0, 2.0)), runs("a_1", means(3.0, 2.0)), runs("b_0", means(1.0, 2.0))]
    assert main(["compare", *map(str, paths)]) == 0
    printed = capsys.readouterr()
    assert "n = 2" in printed.out and "all settings" in printed.out and "P(a better" in printed.out
    assert "(no interval)" in printed.out  # of the one run
    assert "fewer than 5 runs in a group (a has 2, b has 1)" in " ".join(printed.err.split())


def test_the_command_prints_json(runs, capsys):
    paths = [runs("a_0", means(2.0, 2.0)), runs("a_1", means(3.0, 2.0)), runs("b_0", means(1.0, 2.0))]
    assert main(["compare", "--json", *map(str, paths)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wanted = compare(collect_scores(paths, [], print).settings)
    assert [line["setting"] for line in lines] == [each.setting for each in wanted]
    for line, each in zip(lines, wanted, strict=True):
        assert line["num_runs"] == each.num_runs
        assert {group: mean["value"] for group, mean in line["means"].items()} == pytest.approx(
            {group: estimate.value for group, estimate in each.means.items()}
        )
        assert line["means"]["b"]["low"] is None  # of the one run
        assert line["improvements"].keys() == each.improvements.keys()


def test_results_of_an_older_meta_params_are_left_out_and_uneven_updates_said(runs):
    older, other = runs("a_0", means(9.0, 9.0), update=1, meta_params_sha256="x"), runs("b_0", means(1.0, 1.0))
    newer = runs("a_1", means(2.0, 2.0), update=3, meta_params_sha256="y")
    collected = collect_scores([older, newer, other], [])
    assert "the runs of a are of different updates: a_0 of 1, a_1 of 3" in collected.notes
    summary = Summary("", 0, 3, 1, 1.0, 1.0, None, 1, "z", {})
    (older / "summary.json").write_text(json.dumps(encode(summary)), encoding="utf-8")  # it has gone on
    with pytest.raises(InputError, match=r"share no setting.*\n.*4 of 4 rows are left out.*of update 1.*of update 3"):
        collect_scores([older, newer, other], [])


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "name the run directories"),
        (["a_0", "a_1"], "all runs are in one group, a"),
        (["a_0", "c_0"], "c_0/evaluation.jsonl has no rows: `podmeta evaluate run="),
        (["nowhere"], "there is no such run directory: "),
        (["a_0", "a_1", "nowhere"], "there is no such run directory: "),
        (["a_0", "damaged_0"], "damaged_0/evaluation.jsonl:1 is damaged"),
        (["a_0", "old_0"], "old_0/evaluation.jsonl:1 is damaged: environment is missing"),
    ],
)
def test_what_cannot_be_compared_is_told(names, part, runs, tmp_path, capsys):
    runs("a_0", means(1.0, 1.0))
    runs("a_1", means(1.0, 1.0))
    (tmp_path / "c_0").mkdir()
    (runs("damaged_0", means(1.0, 1.0)) / "evaluation.jsonl").write_text('{"suite"\n', encoding="utf-8")
    (runs("old_0", means(1.0, 1.0)) / "evaluation.jsonl").write_text('{"suite": "experiment"}\n', encoding="utf-8")
    assert main(["compare", *(str(tmp_path / name) for name in names)]) == 2
    assert part in " ".join(capsys.readouterr().err.split())


def test_the_table_says_which_meta_params_were_tested(runs, capsys):
    paths = [runs(f"{group}_0", means(2.0, 2.0), update=1660, meta_params_sha256="x") for group in "ab"]
    assert main(["compare", *map(str, paths)]) == 0
    assert capsys.readouterr().out.count("1,660") == 2


def test_instances_are_paired_over_settings_and_a_setting_that_lacks_one_is_left_out(runs):
    """An interrupted meta-test leaves rows in another order, or about some instances only."""
    one, other = runs("a_0", means(1.0, 5.0)), runs("b_0", means(1.0, 2.0))
    rows = [json.loads(line) for line in (one / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()]

    def write(instances_of_2, instances_of_5):
        by_instance = [
            {**row, "setting": {**row["setting"], "instance": i}, "mean": row["mean"] + i}
            for row in rows
            for i in (instances_of_2 if row["setting"]["num_arms"] == 2 else instances_of_5)
        ]
        (one / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in by_instance), encoding="utf-8")

    write((0, 1, 2), (2, 0, 1))
    two, five = collect_scores([one, other], []).settings
    assert two.scores["a"].tolist() == [1, 2, 3] and five.scores["a"].tolist() == [5, 6, 7]
    write((0, 1, 2), (0,))
    collected = collect_scores([one, other], [])
    assert [each.key for each in collected.settings] == ["experiment: bandit, num_arms=2"]
    assert any("num_arms=5 is left out, because 1 of 3 instances" in note for note in collected.notes)
