"""Tabulating what parts of the general recipe are worth."""

import re

import numpy as np
import pytest

from launch.ablation import SEEDS, VARIANTS, WHOLE, commands_left, in_markdown, results_of, run_path
from podmeta.config.compose import compose_job
from podmeta.config.suites import REPORTING_SEED
from podmeta.evaluation.statistics import mean_of_runs
from podmeta.inner_loop import build_inner_loop
from podmeta.storage.run_files import EVALUATION, EvaluationRow, to_json_lines

DRAWS = ({"num_observations": 5}, {"num_states": 10})


def write_run(path, learner):
    about = {"suite": "experiment", "environment": "random_mdp", "metric": "return", "num_tasks": 10}
    rows = [
        EvaluationRow(**about, setting=draw, algorithm=name, mean=mean, low=mean, high=mean)
        for draw in DRAWS
        for name, mean in (("learner", learner), ("random", -7.0))
    ]
    path.mkdir(parents=True)
    (path / EVALUATION).write_text(to_json_lines(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return [compose_job(command[1:]) for command in commands_left(runs, SEEDS[:2], ["num_updates=7"])]


def test_variants_differ_in_what_they_say_and_in_nothing_else(jobs):
    whole, *others = jobs[:: len(SEEDS[:2])]
    assert {whole.evaluation.seed, *(each.evaluation.seed for each in others)} == {REPORTING_SEED}
    for job, variant in zip(others, VARIANTS[1:], strict=True):
        assert job.environment == whole.environment
        assert (job.learner, job.outer) != (whole.learner, whole.outer)
        keys = {override.split("=")[0] for override in variant.overrides}
        changed = {f"learner.{key}" for key, value in vars(job.learner).items() if value != vars(whole.learner)[key]}
        changed |= {f"outer.{key}" for key, value in vars(job.outer).items() if value != vars(whole.outer)[key]}
        assert changed == keys


def test_all_seeds_of_a_variant_come_before_the_next_variant(jobs):
    assert [job.seed for job in jobs] == [*SEEDS[:2]] * len(VARIANTS)
    assert len({job.run_dir for job in jobs}) == len(jobs)


@pytest.mark.long
@pytest.mark.parametrize("job", [variant.overrides for variant in VARIANTS], ids=[each.folder for each in VARIANTS])
def test_every_variant_makes_a_learner(job):
    composed = compose_job(["experiment=general", *job])
    entry = composed.environment.entries[0].environment
    assert build_inner_loop(composed.learner, entry).lifetime_length == entry.lifetime_length


def test_the_table_shows_means_with_t_intervals_over_seeds(tmp_path):
    values = {WHOLE: (1.0, 2.0, 9.0), VARIANTS[1]: (0.0, 0.5, 1.0)}
    for variant, of_seeds in values.items():
        for seed, value in zip(SEEDS, of_seeds, strict=True):
            write_run(run_path(tmp_path, variant, seed), value)
    table = in_markdown({variant: results_of(tmp_path, variant, SEEDS) for variant in values})
    head, _, random, *rows = table.splitlines()
    assert re.findall(r"num_\w+=\d+", head) == ["num_observations=5", "num_states=10"]
    assert random == "| random | -7.0 | -7.0 |"
    for row, (variant, of_seeds) in zip(rows, values.items(), strict=True):
        mean = mean_of_runs(np.array(of_seeds))
        cell = f"{mean.value:.1f} ± {mean.high - mean.value:.1f}"
        assert row == f"| {variant.what} | {cell} | {cell} |"
