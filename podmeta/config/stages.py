"""The stages of a job: where each begins and ends. A job without stages is one stage."""

from typing import NamedTuple

from podmeta.config.schema import EnvironmentConfig, JobConfig, MixtureConfig, OuterLoopConfig


class Stage(NamedTuple):
    """One stage of a job.

    Attributes:
      number: its place among the stages, from 0.
      first_update: updates done when it begins.
      end: updates done when it ends.
      num_updates: updates that its schedules run over.
      environment: its environment.
      outer: the outer loop in it.
      name: what the user calls the place of its environment in the config.
    """

    number: int
    first_update: int
    end: int
    num_updates: int
    environment: EnvironmentConfig | MixtureConfig
    outer: OuterLoopConfig
    name: str


def stages_of(job: JobConfig) -> tuple[Stage, ...]:
    """The stages of a job, in order. A job that is trained for longer than they last stays in the last one."""
    if not job.stages:
        return (Stage(0, 0, job.num_updates, job.num_updates, job.environment, job.outer, "environment"),)
    stages, first_update = [], 0
    for index, config in enumerate(job.stages):
        end = first_update + config.num_updates
        if index == len(job.stages) - 1:
            end = max(end, job.num_updates)
        name = f"stages[{index}]"
        stages.append(Stage(index, first_update, end, config.num_updates, config.environment, config.outer, name))
        first_update = end
    return tuple(stages)


def stage_that_made(stages: tuple[Stage, ...], update: int) -> Stage:
    """The stage whose state is there after that many updates. Between two stages it is the one that has ended."""
    return next((stage for stage in stages if update <= stage.end), stages[-1])


def environments_of(environment: EnvironmentConfig | MixtureConfig) -> list[EnvironmentConfig]:
    """The environments of a mixture's entries. One by itself is a mixture of one."""
    if isinstance(environment, MixtureConfig):
        return [entry.environment for entry in environment.entries]
    return [environment]
