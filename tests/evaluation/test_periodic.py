"""Meta-tests during training, which change nothing of it."""

import json

import jax
import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.environments.jax.bandit import Bandit
from podmeta.errors import InputError
from podmeta.evaluation.meta_test import meta_test
from podmeta.evaluation.periodic import make_periodic_test
from podmeta.training.best import MEAN_REWARD
from podmeta.training.loop import train
from podmeta.training.meta_params import restore_meta_params
from tests.training.test_run_logger import TINY, theta

WORDS = (*TINY, "architecture.updates_per_call=1", "logging.every_updates=3", "evaluation.periodic_tasks=6")


def rows_of(path):
    lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["update"]: row for row in map(json.loads, lines)}


@pytest.mark.long
def test_a_job_with_meta_tests_ends_at_the_same_meta_params_and_accounts_for_their_time(tmp_path):
    plain = compose_job([*WORDS, "num_updates=5", f"run_dir={tmp_path / 'plain'}"])
    assert make_periodic_test(plain) is None
    train(plain, lambda line: None)
    words = [*WORDS, "evaluation.every_updates=2", "evaluation.settings=[{}, {num_arms: 4}]"]
    words += [f"run_dir={tmp_path / 'tested'}"]
    for num_updates in (3, 5):  # the second start goes on
        job = compose_job([*words, f"num_updates={num_updates}"])
        result = train(job, lambda line: None, periodic_test=make_periodic_test(job))
    assert theta(tmp_path / "plain") == theta(tmp_path / "tested")
    goodput = json.loads((tmp_path / "tested" / "summary.json").read_text(encoding="utf-8"))["goodput"]
    assert goodput["evaluation_seconds"] > 0
    rows = rows_of(tmp_path / "tested")
    assert [update for update, row in rows.items() if MEAN_REWARD in row] == [2, 4]
    assert MEAN_REWARD not in rows[5] and rows.keys() >= {2, 3, 4, 5}
    by_setting = [rows[4][f"test_reward_setting_{number}"] for number in (0, 1)]
    assert rows[4][MEAN_REWARD] == pytest.approx(np.mean(by_setting))
    assert result.update == 5
    best = restore_meta_params(tmp_path / "tested", checkpoint="best")
    assert best.update == max((2, 4), key=lambda update: rows[update][MEAN_REWARD])
    again = make_periodic_test(job)(best.meta_params)
    assert again[MEAN_REWARD] == pytest.approx(rows[best.update][MEAN_REWARD])


@pytest.mark.long
def test_the_rewards_are_those_of_the_learner_in_a_meta_test(tmp_path):
    job = compose_job([*WORDS, "num_updates=1", "evaluation.every_updates=1", f"run_dir={tmp_path}"])
    result = train(job, lambda line: None, periodic_test=make_periodic_test(job))
    own = jax.tree.map(lambda leaf: leaf[0], result.meta_params)
    measured = meta_test(own, job.learner, job.environment, 6, job.evaluation.seed)
    assert rows_of(tmp_path)[1][MEAN_REWARD] == pytest.approx(measured["learner"].rewards.mean())


@pytest.mark.parametrize(("suite", "message"), [("./mine.yaml", "is a file"), ("nowhere", "nowhere")])
def test_a_suite_that_is_a_file_or_does_not_exist_is_refused(suite, message):
    job = compose_job([*WORDS, "evaluation.every_updates=1", f"evaluation.periodic_suite={suite}"])
    with pytest.raises(InputError, match=message):
        make_periodic_test(job)


@pytest.mark.parametrize("words", [[], ["evaluation.enabled=false"], ["evaluation.periodic_suite=action_spaces"]])
def test_every_setting_is_traced_before_training_starts(words, monkeypatch):
    """A setting whose environment can be made but not stepped stops no job in the middle of training."""
    step = Bandit.step

    def step_few_arms(bandit, *arguments):
        if bandit.action_spec().num_values > 2:
            raise InputError("environment.num_arms: no more than 2 can be stepped")
        return step(bandit, *arguments)

    monkeypatch.setattr(Bandit, "step", step_few_arms)
    settings = "evaluation.settings=[{num_arms: 3}]"
    job = compose_job([*WORDS, "evaluation.every_updates=1", "environment.num_arms=2", settings, *words])
    with pytest.raises(InputError, match="no more than 2"):
        make_periodic_test(job)
