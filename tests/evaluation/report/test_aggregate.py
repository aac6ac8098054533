"""Runs that differ in their seeds, as one curve."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from podmeta.config.compose import compose_job
from podmeta.evaluation.report.aggregate import by_number, fitness_band, group_runs, learning_band
from podmeta.evaluation.report.record import RunRecord
from podmeta.storage.provenance import Provenance
from podmeta.storage.run_files import CurveRow, MetricsRow
from podmeta.storage.trust import RunJob


def record(name, fitness, *overrides, every=1):
    job = compose_job(["environment.lifetime_length=6", *overrides])
    rows = [MetricsRow(every * (row + 1), 0, 2.0 * row, 1.0, value) for row, value in enumerate(fitness)]
    run = RunJob(Path(name), job, b"", is_trusted=True, own_texts=frozenset())
    machine = Provenance([], "", "", "", None, [], None, {}, {})
    return RunRecord(name, run, machine, None, None, rows, [], [], [])


def curve(mean, algorithm="learner", steps=(2, 6)):
    low, high = [each - 1 for each in mean], [each + 2 for each in mean]
    return CurveRow("suite", "bandit", {}, algorithm, "return", list(steps), mean, low, high, num_tasks=9)


def test_runs_that_differ_in_their_seeds_are_one_group():
    records = [record(f"one_{seed}", [0.0], f"seed={seed}") for seed in range(3)] + [record("other_0", [0.0])]
    assert {name: len(members) for name, members in group_runs(records).items()} == {"one": 3, "other_0": 1}


def test_runs_of_one_name_that_differ_in_more_stay_apart():
    records = [record("one_0", [0.0]), record("one_1", [0.0], "outer.learning_rate=0.5")]
    assert list(group_runs(records)) == ["one_0", "one_1"]


def test_the_fitness_of_several_runs_is_their_mean_with_students_interval():
    fitness = np.random.default_rng(0).normal(size=(4, 5))
    band = fitness_band([record(f"a_{seed}", row.tolist()) for seed, row in enumerate(fitness)], lambda row: row.update)
    np.testing.assert_allclose(band.mean, fitness.mean(axis=0))
    low, high = stats.t.interval(0.95, 3, fitness.mean(axis=0), stats.sem(fitness, axis=0))
    np.testing.assert_allclose((band.low, band.high), (low, high))
    assert band.number == 4


def test_a_curve_ends_where_the_shortest_run_does():
    band = fitness_band([record("a_0", [1.0, 2.0, 3.0]), record("a_1", [3.0, 4.0])], lambda row: row.update)
    np.testing.assert_allclose(band.positions, [1, 2])
    np.testing.assert_allclose(band.mean, [2, 3])


def test_instances_of_a_run_count_like_runs_and_one_has_no_interval():
    band = fitness_band([record("a", [[1.0, 3.0], [2.0, 6.0]])], lambda row: row.update)
    assert band.number == 2 and np.all(band.low < band.mean)
    np.testing.assert_allclose(band.mean, [2, 4])
    alone = fitness_band([record("a", [1.0, 2.0])], lambda row: row.update)
    np.testing.assert_array_equal(alone.low, alone.mean)
    assert fitness_band([record("a", [])], lambda row: row.update) is None


def test_a_learning_curve_has_the_interval_of_runs_or_for_one_run_of_its_tasks():
    alone = learning_band([curve([1.0, 2.0])])
    np.testing.assert_allclose((alone.positions, alone.low, alone.high), [(1, 4), (0, 1), (3, 4)])
    assert alone.number == 9
    several = learning_band([curve([1.0, 2.0]), curve([3.0, 2.0]), curve([9.0], steps=[6])])
    np.testing.assert_allclose(several.mean, [2, 2])
    assert several.number == 2 and several.low[0] < 1 and several.low[1] == 2


@pytest.mark.parametrize("texts", [["num_arms=2", "num_arms=10", "num_arms=100"], ["a, x=0.5", "a, x=1", "b, x=0.1"]])
def test_settings_are_in_the_order_of_their_numbers(texts):
    shuffled = texts[1:] + texts[:1]
    assert sorted(shuffled, key=by_number) == texts
