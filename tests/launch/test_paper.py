"""Summing up the paper's experiments: which rows a claim rests on, and what is made of them."""

import functools
import json

import pytest

from launch.paper import LEARNERS, SEEDS, TESTS, commands_left, draw, figure, learned, main, results_table, share
from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.suites import REPORTING_SEED, experiment_suite, load_suite, row_setting
from podmeta.storage.json_files import encode
from podmeta.storage.run_files import Summary

RANDOM = 1.0
HALF_WIDTH = 4.30265 / 3**0.5  # of 10, 11 and 12: t(0.975, 2) s / √n


@functools.cache
def composed(experiment, learner):
    return compose_job([f"experiment=paper_{experiment}_{learner}", f"evaluation.seed={REPORTING_SEED}"])


@pytest.fixture
def runs(tmp_path):
    """Runs whose learners reach 10 more than their seed, MetaRNN half of it, in every test of every claim."""
    for experiment in ("bandit", "gridworld"):
        for learner in LEARNERS:
            for seed in SEEDS:
                write(tmp_path / f"{experiment}_{learner}_{seed}", experiment, learner, seed)
    return tmp_path


def interval(mean):
    return {"mean": mean, "low": mean - 5.0, "high": mean + 5.0, "num_tasks": 4}


def write(path, experiment, learner, seed):
    value = (10.0 + seed) * (1.0 if learner == "symmetric" else 0.5)
    rows = []
    for test in TESTS:
        if test.experiment != experiment:
            continue
        setting = {key: told for key, told in test.setting.items() if told is not None}
        row = {"suite": test.suite, "environment": test.environment, "setting": setting}
        for metric in {test.metric, "reward_first_fifth"}:
            rows.append(row | {"algorithm": "learner", "metric": metric, **interval(value)})
            rows += [row | {"algorithm": name, "metric": metric, **interval(RANDOM)} for name in test.beside]
        learns = float(learner == "symmetric" and seed == 2)
        rows.append(row | {"algorithm": "learner", "metric": "learns_from_reward", **interval(learns)})
    job = composed(experiment, learner)
    rows += [
        {"suite": "experiment", "environment": each.environment.name, "setting": row_setting(each, None)}
        | {"algorithm": "learner", "metric": "other", **interval(0.0)}
        for each in experiment_suite(job).settings
    ]
    tested = {"num_tasks": job.evaluation.num_tasks, "evaluation_seed": job.evaluation.seed}
    tested |= {"update": job.num_updates, "meta_params_sha256": "d"}
    summary = Summary("paper", seed, job.num_updates, 1, 1.0, 1.0, None, 1, "d", {})
    rows = [row | tested for row in rows]
    path.mkdir()
    (path / "summary.json").write_text(json.dumps(encode(summary)), encoding="utf-8")
    (path / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("experiment", ["bandit", "gridworld"])
@pytest.mark.parametrize("learner", LEARNERS)
def test_every_claim_rests_on_one_meta_test_of_its_experiment(experiment, learner):
    job = compose_job([f"experiment=paper_{experiment}_{learner}"])
    settings = [(environment, told, "experiment") for environment, told in experiment_suite(job).settings]
    settings += [(environment, told, "transfer") for environment, told in load_suite("transfer", job).settings]
    for test in TESTS:
        if test.experiment == experiment:
            found = [
                told
                for environment, told, suite in settings
                if (suite, environment.name) == (test.suite, test.environment)
                and all(
                    (told | {"lifetime_length": environment.lifetime_length}).get(key) == value
                    for key, value in test.setting.items()
                )
            ]
            assert len(found) == 1, test


@pytest.mark.long
def test_figures_are_means_over_seeds_with_t_intervals(runs):
    for test in TESTS:
        assert figure(runs, SEEDS, test, "symmetric") == pytest.approx((11.0, 11.0 - HALF_WIDTH, 11.0 + HALF_WIDTH))
        assert figure(runs, SEEDS, test, "recurrent").value == pytest.approx(5.5)
        if test.relative_to:
            assert share(runs, SEEDS, test, "symmetric") == 1.0


@pytest.mark.long
def test_the_table_has_a_line_for_every_test_and_the_picture_is_drawn(runs):
    lines = results_table(runs, SEEDS).splitlines()
    assert len(lines) == 2 + len(TESTS)
    assert all(line.count("|") == 7 for line in lines)
    assert f"11.00 ± {HALF_WIDTH:.2f}, 100%" in results_table(runs, SEEDS)
    draw(runs / "results.png", runs, SEEDS)
    assert (runs / "results.png").read_bytes().startswith(b"\x89PNG")


def test_the_seeds_that_learn_from_reward_are_those_whose_verdict_says_so(runs):
    for test in TESTS:
        if test.suite == "transfer":
            assert learned(runs, SEEDS, test, "symmetric") == 1
            assert learned(runs, SEEDS, test, "recurrent") == 0


@pytest.mark.long
def test_a_meta_test_without_a_verdict_is_done_again(runs):
    path = runs / "gridworld_recurrent_1" / "evaluation.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "learns_from_reward" not in line), encoding="utf-8")
    assert [command[:2] for command in commands_left(runs, SEEDS, [])] == [["evaluate", f"run={path.parent}"]]


@pytest.mark.long
def test_what_is_there_is_not_done_again(runs):
    assert not list(commands_left(runs, [1], []))
    (runs / "gridworld_recurrent_1" / "evaluation.jsonl").unlink()
    commands = list(commands_left(runs, [1], ["checkpoint.keep=2"]))
    assert [command[0] for command in commands] == ["train", "evaluate"]
    assert {"seed=1", "checkpoint.keep=2"} <= set(commands[0])


def test_files_that_hold_less_than_a_whole_meta_test_are_not_taken_for_one(runs):
    cut, older = runs / "bandit_symmetric_0" / "evaluation.jsonl", runs / "gridworld_symmetric_0" / "evaluation.jsonl"
    cut.write_text(cut.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
    older.write_text(
        older.read_text(encoding="utf-8").replace('"meta_params_sha256": "d', '"meta_params_sha256": "e'),
        encoding="utf-8",
    )
    commands = list(commands_left(runs, [0], []))
    assert [command[0] for command in commands] == ["train", "train", "evaluate"]
    assert str(cut.parent) in " ".join(commands[0]) and str(older.parent) in " ".join(commands[1])


def test_a_run_with_another_config_is_refused_before_anything_starts(runs, capsys):
    path = runs / "bandit_symmetric_0"
    (path / "config.yaml").write_text(
        job_to_yaml(compose_job(["experiment=paper_bandit_symmetric", "seed=7"])), encoding="utf-8"
    )
    assert main(["--runs", str(runs)]) == 2
    assert "seed: 7 there, 0 now" in capsys.readouterr().err
