"""Says in words how new the tasks of a meta-test are to θ, for tables and rows."""

import dataclasses

from podmeta.config.schema import EnvironmentConfig, JobConfig
from podmeta.config.stages import environments_of, stages_of
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.registry import make_environment

_MOST_MET = 1_000_000
"""Of so many tasks or more, it is unlikely that training has met one that is drawn again."""


def describe_tasks(job: JobConfig, environment: EnvironmentConfig) -> str:
    """How many different tasks a meta-test draws from, and whether θ has met them in training.

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
            possible, met = "tasks drawn anew", "which training has not met"
        else:
            possible = f"{num_tasks:,} possible task" + ("s" if num_tasks > 1 else "")
            met = "the same as in training"
    return f"{possible}, {met if same else 'in a setting that θ was not trained on'}"
