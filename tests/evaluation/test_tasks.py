"""What tables say of how new the tasks of a meta-test are."""

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.suites import experiment_suite
from podmeta.evaluation.tasks import describe_tasks

NEW = "new tasks, not seen in training"
ELSEWHERE = "in a setting that θ was not trained on"
HOST = "tasks as the environment draws them"


def described(*arguments):
    job = compose_job(list(arguments))
    return [describe_tasks(job, environment) for environment, _ in experiment_suite(job).settings]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["experiment=bandit"], NEW),
        (["experiment=cartpole"], "16 possible tasks, the same as in training"),
        (
            ["experiment=cartpole", "environment.flip_observation_signs=false"],
            "1 possible task, the same as in training",
        ),
        (["experiment=bandit", "environment=grid_world"], "24 possible tasks, the same as in training"),
        (["experiment=sebulba_pong"], f"{HOST}, with other seeds than in training"),
    ],
)
def test_a_jobs_own_tasks(arguments, expected):
    assert described(*arguments, "evaluation.settings=[{}]") == [expected]


def test_other_settings_than_those_trained_on():
    settings = "evaluation.settings=[{lifetime_length: 999}, {permute_actions: true}, {environment: bandit}]"
    assert described("experiment=cartpole", settings) == [
        "16 possible tasks, the same as in training",  # only longer
        f"32 possible tasks, {ELSEWHERE}",
        f"new tasks, {ELSEWHERE}",
    ]


def test_every_stage_and_entry_counts_as_training():
    stages = (
        "stages=[{environment: bandit, num_updates: 1},"
        " {environment: mixture, entries: [{environment: cartpole}, {environment: tabular_mdp}], num_updates: 1}]"
    )
    settings = "evaluation.settings=[{environment: bandit}, {environment: cartpole}, {environment: contextual_bandit}]"
    assert described("experiment=bandit", stages, settings) == [
        NEW,
        "16 possible tasks, the same as in training",
        f"125 possible tasks, {ELSEWHERE}",
    ]
