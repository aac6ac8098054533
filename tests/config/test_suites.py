"""Suites of meta-tests, as the files of configs/evaluation/ describe them."""

import jax
import pytest

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.schema import BanditConfig
from podmeta.config.suites import experiment_suite, load_suite
from podmeta.errors import InputError
from podmeta.evaluation.baselines.contenders import REFERENCES, check_fit
from podmeta.inner_loop import build_inner_loop


@pytest.fixture(scope="module")
def job():
    return compose_job(["experiment=bandit"])


@pytest.mark.long
@pytest.mark.parametrize("name", list_options("evaluation"))
def test_every_suite_can_be_lived_by_a_symmetric_learner(name, job):
    suite = load_suite(name, job)
    assert suite.settings and set(suite.references) <= set(REFERENCES)
    meta_params = jax.eval_shape(build_inner_loop(job.learner, job.environment).init, jax.random.key(0))
    for environment, _ in suite.settings:
        check_fit(meta_params, job.learner, environment)


@pytest.mark.parametrize("name", list_options("evaluation"))
def test_every_suite_says_what_it_is_and_tells_its_settings_apart(name, job):
    assert list_options("evaluation")[name]
    told = [str(setting.changes) for setting in load_suite(name, job).settings]
    assert len(set(told)) == len(told)


def test_what_was_trained_on_is_tested_as_trained_or_for_longer(job):
    mixture = compose_job(
        ["environment=mixture", "environment.entries=[{environment: bandit}, {environment: cartpole}]"]
    )
    lengths = [entry.environment.lifetime_length for entry in mixture.environment.entries]
    for name, factor in (("in_distribution", 1), ("lifetimes", 5)):
        (setting,) = load_suite(name, job).settings
        assert setting.environment == BanditConfig(lifetime_length=100 * factor)
        found = [setting.environment.lifetime_length for setting in load_suite(name, mixture).settings]
        assert found == [factor * length for length in lengths]


def test_the_suite_of_the_experiment_is_its_own_settings(job):
    suite = experiment_suite(job)
    assert (suite.name, suite.references, suite.scale_observations) == ("experiment", [], False)
    assert [setting.environment.num_arms for setting in suite.settings] == [2, 5, 10]


def test_the_suite_of_the_experiment_has_the_controls_of_in_distribution_on_request():
    job = compose_job(["experiment=bandit", "evaluation.controls=true"])
    assert experiment_suite(job).references == load_suite("in_distribution", job).references


def test_an_unknown_suite_is_told_with_those_there_are(job):
    with pytest.raises(InputError, match="suite=task does not exist") as raised:
        load_suite("task", job)
    assert all(name in str(raised.value) for name in list_options("evaluation"))


def test_a_suite_may_say_how_many_tasks_and_that_failures_are_the_score(job):
    suite = load_suite("held_out", job)
    tasks = [suite.tasks_in(setting.environment, 1000) for setting in suite.settings]
    assert (len(tasks), tasks.count(128), tasks.count(64)) == (18, 15, 3)
    assert load_suite("tasks", job).tasks_in(suite.settings[0].environment, 1000) == 1000
    by_failures = [setting for setting in suite.settings if setting.scored_by_failures]
    assert [setting.changes["scored_by"] for setting in by_failures] == ["failures"]
    assert not by_failures[0].environment.failure_reward
