"""From files and overrides to a `JobConfig`: Hydra's composition over the typed schema."""

import dataclasses
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from podmeta.config.messages import explain_overrides, no_such_choice
from podmeta.config.presets import hydra_over_presets
from podmeta.config.resolve import evaluation_settings, resolve_job
from podmeta.config.schema import GROUPS, JobConfig
from podmeta.config.validate import validate_job
from podmeta.errors import InputError


def compose_job(overrides: list[str]) -> JobConfig:
    """Composes and validates a job.

    Args:
      overrides: Hydra overrides, such as ["experiment=bandit", "outer.learning_rate=0.01"].

    Returns:
      The job.

    Raises:
      InputError: a key, a type, a value or a file is wrong; the message names it and the cure.
    """
    try:
        with hydra_over_presets():
            composed = hydra.compose("job", overrides)
        return job_from_config(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain_overrides(error, overrides)) from error


def job_from_config(config: DictConfig | ListConfig) -> JobConfig:
    """The validated job that a composed config describes, whole: nothing in it still refers to a preset by name.

    The one exception is `evaluation.settings`, which are checked here and looked up when they are needed.
    """
    job = OmegaConf.to_object(config)
    assert isinstance(job, JobConfig)
    job = resolve_job(job)
    validate_job(job)
    evaluation_settings(job)
    return job


def job_to_yaml(job: JobConfig) -> str:
    """A job as the text of a `config.yaml`, from which `job_from_yaml` makes the same job again."""
    return OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(job)))


def job_from_yaml(path: Path, overrides: list[str]) -> JobConfig:
    """Reads the `config.yaml` of a run.

    Args:
      path: the file.
      overrides: keys to change, such as ["evaluation.num_tasks=100"].

    Raises:
      InputError: there is no such file, it is not a job's, or a key or value is wrong.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, UnicodeDecodeError, OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"{path} cannot be read as a run's config: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(group), dict) for group in GROUPS):
        raise InputError(f"{path} is not the config of a run")
    try:
        typed = {group: _typed(group, content.pop(group)) for group in GROUPS}
        schema = OmegaConf.structured(JobConfig)
        return job_from_config(OmegaConf.merge(schema, content, typed, OmegaConf.from_dotlist(overrides)))
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {explain_overrides(error, [])}") from error


def _typed(group: str, content: dict[str, Any]) -> DictConfig | ListConfig:
    name = content.get("name")
    if name not in GROUPS[group]:
        raise InputError(no_such_choice(group, str(name), GROUPS[group]))
    return OmegaConf.merge(OmegaConf.structured(GROUPS[group][name]), content)
