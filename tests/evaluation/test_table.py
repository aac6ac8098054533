"""The tables that a meta-test ends with say how new the tasks were."""

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from podmeta.evaluation.meta_test import tabulate
from podmeta.evaluation.rollouts import Lifetimes
from podmeta.evaluation.table import make_suite_tables, make_table

ALGORITHMS = ("learner", "random", "rewards_zeroed", "rewards_and_episode_starts_zeroed")


def rows(setting, tasks):
    rewards = np.random.default_rng(0).normal(size=(4, 10))
    measured = {name: Lifetimes(rewards, 0 * rewards, 0 * rewards, None) for name in ALGORITHMS}
    return [dataclasses.replace(row, tasks=tasks) for row in tabulate("suite", setting, "cartpole", measured)]


def shown(table):
    console = Console(width=200, no_color=True)
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
