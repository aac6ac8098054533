"""Suites of meta-tests: the files of configs/evaluation/, and the one that an experiment brings itself."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from podmeta.config.messages import explain, no_such_choice
from podmeta.config.presets import find_preset, is_file_name, list_options, read_mapping
from podmeta.config.resolve import FAILURES, SCORED_BY, EvaluationSetting, evaluation_settings, settings_of
from podmeta.config.schema import BanditConfig, EnvironmentConfig, HostEnvironmentConfig, JobConfig
from podmeta.config.shorthand import texts_of
from podmeta.config.validate import validate_environment
from podmeta.errors import InputError
from podmeta.value_types import Json

EXPERIMENT = "experiment"
CONTROLS = ("alternation", "observations_zeroed", "rewards_zeroed", "rewards_and_episode_starts_zeroed")
"""The references that `evaluation.controls` adds: those of the suite in_distribution, and so the same verdict."""
REPORTING_SEED = 20_261_127
"""The evaluation seed of figures that documentation quotes. Development uses the default one, and never this."""


@dataclasses.dataclass
class SuiteConfig:
    """The content of the file of a suite.

    Attributes:
      settings: as `evaluation.settings` of a job; those that name no environment change the one trained on. With
        `scored_by: failures` every figure is of -1 for each episode that terminates, whatever the learner is paid.
      references: algorithms to compare the learner with, besides the default ones; see
        `podmeta.evaluation.meta_test.REFERENCES`.
      lifetime_factor: how many times longer than in the setting a lifetime is.
      scale_observations: the learner's observations are scaled, as an agent's are.
      num_tasks: lifetimes per setting, where the command line does not say; 0: evaluation.num_tasks.
      num_host_tasks: the same for host environments.
    """

    settings: list[Json] = dataclasses.field(default_factory=list)
    references: list[str] = dataclasses.field(default_factory=list)
    lifetime_factor: int = 1
    scale_observations: bool = False
    num_tasks: int = 0
    num_host_tasks: int = 0


class Suite(NamedTuple):
    """A suite for a run.

    Attributes:
      name: its name, in rows and in messages.
      settings: the meta-tests.
      references: algorithms to compare the learner with, besides the default ones.
      scale_observations: whether the learner's observations are scaled, whatever its config says.
      num_tasks: lifetimes per setting; 0: evaluation.num_tasks.
      num_host_tasks: the same for host environments.
      own_texts: the texts in a file of the user's own, whose word they are.
    """

    name: str
    settings: list[EvaluationSetting]
    references: list[str]
    scale_observations: bool
    num_tasks: int = 0
    num_host_tasks: int = 0
    own_texts: frozenset[str] = frozenset()

    def tasks_in(self, environment: EnvironmentConfig, default: int) -> int:
        """How many tasks a setting is tested on; `default` where the suite does not say."""
        on_host = isinstance(environment, HostEnvironmentConfig)
        return (self.num_host_tasks if on_host else self.num_tasks) or default

    def sized_by(self, overrides: Sequence[str]) -> "Suite":
        """The suite, on as many tasks as the overrides say that the job was made with, if they do."""
        is_given = any(override.partition("=")[0] == "evaluation.num_tasks" for override in overrides)
        return self._replace(num_tasks=0, num_host_tasks=0) if is_given else self


def experiment_suite(job: JobConfig) -> Suite:
    """The meta-tests that a job's own `evaluation.settings` ask for."""
    references = list(CONTROLS) if job.evaluation.controls else []
    return Suite(EXPERIMENT, evaluation_settings(job), references, scale_observations=False)


def load_suite(name: str, job: JobConfig) -> Suite:
    """A suite for the θ of a job.

    Args:
      name: of a preset, as configs/evaluation/ holds them, or a file of the user's own, such as ./my_suite.yaml.
      job: the job.

    Raises:
      InputError: there is none of that name, or a key in the file is wrong.
    """
    path = Path(name) if is_file_name(name) else find_preset("evaluation", name)
    if path is None:
        raise InputError(no_such_choice("suite", name, list_options("evaluation")))
    content = read_mapping(path, "suite")
    try:
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SuiteConfig), content))
    except OmegaConfBaseException as error:
        fields = {field.name: field for field in dataclasses.fields(SuiteConfig)}
        where_to_look = f"The keys are {', '.join(fields)}"
        raise InputError(f"suite={name}: {explain(error, fields, where_to_look)}") from error
    assert isinstance(config, SuiteConfig)
    own_texts = texts_of(config.settings) if is_file_name(name) else frozenset()
    settings = []
    for environment, changes in _described_settings(job, config.settings, f"suite={name}: settings"):
        longer = dataclasses.replace(environment, lifetime_length=config.lifetime_factor * environment.lifetime_length)
        validate_environment(longer, f"suite={name}: ")
        settings.append(EvaluationSetting(longer, changes))
    return Suite(
        path.stem,
        settings,
        config.references,
        config.scale_observations,
        config.num_tasks,
        config.num_host_tasks,
        own_texts,
    )


def _described_settings(job: JobConfig, descriptions: Sequence[Json], where: str) -> Iterator[EvaluationSetting]:
    """The settings that are described, by the environment's keys and by how they are scored."""
    for described in descriptions:
        score = {key: value for key, value in described.items() if key == SCORED_BY}
        if score and score[SCORED_BY] != FAILURES:
            raise InputError(no_such_choice(f"{where}: {SCORED_BY}", str(score[SCORED_BY]), [FAILURES]))
        keys = {key: value for key, value in described.items() if key not in score}
        for environment, changes in settings_of(job, [keys], where):
            yield EvaluationSetting(environment, changes | score)


def row_setting(setting: EvaluationSetting, instance: int | None) -> dict[str, Json]:
    """What tells the rows of a meta-test from those of its neighbours in the suite.

    Args:
      setting: the meta-test.
      instance: which of several instances; None if there is one.
    """
    environment, changes = setting
    always = ("num_arms", "lifetime_length") if isinstance(environment, BanditConfig) else ("lifetime_length",)
    by_instance = {} if instance is None else {"instance": instance}
    return changes | {key: getattr(environment, key) for key in always} | by_instance
