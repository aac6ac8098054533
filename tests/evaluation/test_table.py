"""The tables that a meta-test ends with say how new the tasks were."""

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from podmeta.evaluation.meta_test import tabulate
from podmeta.evaluation.rollouts import Lifetimes
from podmeta.evaluation.table import make_suite_tables, make_table

ALGORITHMS = ("learner", "random", "rewards_zeroed", "rewards_and_episode_starts_zeroed")


def rows(setting, tasks, algorithms=ALGORITHMS):
    rewards = np.random.default_rng(0).normal(size=(4, 10))
    measured = {name: Lifetimes(rewards, 0 * rewards, 0 * rewards, None) for name in algorithms}
    return [dataclasses.replace(row, tasks=tasks) for row in tabulate("suite", setting, "cartpole", measured)]


def shown(table, width=200):
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("make", [make_table, make_suite_tables])
def test_tables_say_what_the_tasks_were(make):
    said = shown(make(rows({"flip": True}, "16 possible tasks") + rows({"flip": False}, "1 possible task")))
    assert "16 possible tasks" in said and "1 possible task" in said
    assert "held-out" not in said and "4 lifetimes" in said


def test_what_holds_for_all_settings_is_said_once():
    said = shown(make_table(rows({"flip": True}, "16 possible tasks") + rows({"flip": False}, "16 possible tasks")))
    assert said.count("16 possible tasks") == 1


def test_each_table_of_a_suite_ends_with_the_verdict():
    said = shown(make_suite_tables(rows({}, "16 possible tasks")))
    assert "learns from reward: no (" in said


def test_the_table_of_an_experiment_has_a_verdict_per_setting_or_names_the_option_that_tests_it():
    with_controls = rows({"flip": True}, "tasks") + rows({"flip": False}, "tasks")
    said = shown(make_table(with_controls))
    assert said.count("learns from reward: no (") == 2 and "evaluation.controls" not in said
    without = rows({"flip": True}, "tasks", ALGORITHMS[:2]) + rows({"flip": False}, "tasks", ALGORITHMS[:2])
    said = shown(make_table(without))
    assert said.count("learns from reward") == said.count("add evaluation.controls=true") == 1


def episodes(setting, environment_id):
    """The rows of an environment in which each of two episodes of a lifetime earns 3, and the rest 1."""
    rewards = np.tile([1.0, 2.0, 1.0, 2.0, 1.0], (4, 1))
    ends = np.tile([0.0, 1.0, 0.0, 1.0, 0.0], (4, 1))
    measured = {name: Lifetimes(rewards, 0 * rewards, ends, None) for name in ALGORITHMS}
    found = tabulate("suite", setting, "gymnax", measured)
    return [dataclasses.replace(row, environment_id=environment_id, tasks="1 possible task") for row in found]


@pytest.mark.parametrize("make", [make_table, make_suite_tables])
def test_tables_name_the_environment_by_its_id_and_tell_an_episode_from_a_lifetime(make):
    said = shown(make(episodes({"lifetime_length": 5, "id": "CartPole-v1"}, "CartPole-v1")))
    assert "CartPole-v1" in said and "gymnax" not in said and "id=" not in said
    assert "lifetime reward" in said and "7.00 ± 0.00" in said
    assert "3.00 ± 0.00" in said  # of an episode
    assert "learns from reward: no (" in said
    assert "episode return" not in shown(make(rows({}, "tasks")))


@pytest.mark.parametrize("make", [make_table, make_suite_tables])
def test_no_letter_is_lost_in_80_columns(make):
    settings = [{"lifetime_length": 5, "num_arms": number, "distribution": "independent"} for number in range(6)]
    said = shown(make([row for setting in settings for row in episodes(setting, "CartPole-v1")]), width=80)
    assert "…" not in said and max(map(len, said.splitlines())) <= 80
    if make is make_suite_tables:
        letters = "".join(said.replace("│", " ").split())
        assert letters.count("±") == 6 * len(ALGORITHMS) * 5
