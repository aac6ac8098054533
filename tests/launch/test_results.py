"""Tabulating what experiments reach over several seeds."""

import re

import numpy as np
import pytest

from launch.results import NUM_SEEDS, collect_results, main, results_table, sweep_command
from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.suites import REPORTING_SEED
from podmeta.config.sweeps import expand_sweep
from podmeta.evaluation.statistics import mean_of_runs
from podmeta.storage.run_files import EVALUATION, EvaluationRow, to_json_lines

LEARNER = {0: 5.0, 1: 6.0, 2: 10.0}
THOMPSON = 8.0


def row(algorithm, metric, mean, **others):
    about = {"suite": "experiment", "environment": "bandit", "setting": {"num_arms": 2}} | others
    return EvaluationRow(**about, algorithm=algorithm, metric=metric, mean=mean, low=mean, high=mean, num_tasks=10)


@pytest.fixture
def runs(tmp_path):
    """Three runs of `bandit` that were meta-tested before rows recorded their θ, as of version 0.1."""
    for seed, value in LEARNER.items():
        rows = [
            row("learner", "regret", value),
            row("learner", "return", -1.0),
            row("thompson", "regret", THOMPSON),
            row("learner", "regret", 1000.0, suite="transfer"),
        ]
        path = tmp_path / "bandit" / str(seed)
        path.mkdir(parents=True)
        (path / EVALUATION).write_text(to_json_lines(rows), encoding="utf-8")
    return tmp_path


@pytest.mark.long
def test_every_experiment_is_swept_over_its_seeds_on_tasks_of_its_own(tmp_path):
    for experiment, num_seeds in NUM_SEEDS.items():
        assert experiment in list_options("experiment")
        command = sweep_command(experiment, num_seeds, tmp_path)
        overrides = [override for override in command[1:] if override != "--multirun"]
        jobs = [compose_job(combination) for combination in expand_sweep(overrides)]
        assert [job.seed for job in jobs] == list(range(num_seeds))
        assert {job.evaluation.seed for job in jobs} == {REPORTING_SEED}
        assert compose_job([f"experiment={experiment}"]).evaluation.seed != REPORTING_SEED


def test_a_result_is_the_headline_metric_of_the_experiments_own_suite_by_algorithm(runs):
    (result,) = collect_results(sorted((runs / "bandit").iterdir()))
    assert result.setting == "bandit, num_arms=2"
    assert result.metric == "regret"
    assert result.values == {"learner": list(LEARNER.values()), "thompson": [THOMPSON] * 3}


def test_the_table_shows_means_with_t_intervals_over_seeds(runs):
    table = results_table(runs, ["bandit"])
    shown = re.search(r"\| ([\d.]+) ± ([\d.]+) \| 3 \| thompson ([\d.]+) \|", table)
    mean = mean_of_runs(np.array(list(LEARNER.values())))
    assert float(shown[1]) == pytest.approx(mean.value, abs=0.005)
    assert float(shown[2]) == pytest.approx(mean.high - mean.value, abs=0.005)
    assert float(shown[3]) == THOMPSON


def test_an_unknown_experiment_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bandits"])
    assert stopped.value.code == 2
    assert "unknown experiments bandits" in capsys.readouterr().err
