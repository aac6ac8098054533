"""Says in words how new the tasks of a meta-test are to θ, for tables and rows."""

import dataclasses

from podmeta.config.schema import EnvironmentConfig, JobConfig
from podmeta.config.stages import environments_of, stages_of
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.registry import make_environment

_MOST_MET = 1_000_000
"""With this many tasks or more, it is unlikely that a test task has occurred in training."""


def describe_tasks(job: JobConfig, environment: EnvironmentConfig) -> str:
    """The number of different tasks of a meta-test, and whether they have occurred in training.

    Args:
      job: the job that trained θ.
      environment: the environment of the meta-test.

    Returns:
      Such as "16 possible tasks, the same as in training".
    """
    trained_on = [each for stage in stages_of(job) for each in environments_of(stage.environment)]
    same = any(
        dataclasses.replace(each, lifetime_length=environment.lifetime_length) == environment
        for each in trained_on
        if type(each) is type(environment)
    )
    if lives_on_host(environment):
        possible, met = "tasks as the environment draws them", "with other seeds than in training"
    else:
        num_tasks = make_environment(environment).num_tasks
        if num_tasks is None:
            possible, met = "tasks as the environment draws them", "with other seeds than in training"
        elif num_tasks >= _MOST_MET:
            possible, met = "new tasks", "not seen in training"
        else:
            possible = f"{num_tasks:,} possible task" + ("s" if num_tasks > 1 else "")
            met = "the same as in training"
    return f"{possible}, {met if same else 'in a setting that θ was not trained on'}"
