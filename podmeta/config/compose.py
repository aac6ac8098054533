"""From files and overrides to a `JobConfig`: Hydra's composition over the typed schema."""

import dataclasses
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from podmeta.config.messages import HOW_TO_OVERRIDE, explain_overrides, no_such_choice
from podmeta.config.presets import hydra_over_presets
from podmeta.config.resolve import evaluation_settings, resolve_job
from podmeta.config.schema import GROUPS, JobConfig, open_keys
from podmeta.config.shorthand import expand_overrides
from podmeta.config.validate import check_known, validate_environment, validate_job
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
    overrides = expand_overrides(overrides)
    try:
        with hydra_over_presets():
            composed = hydra.compose("job", [_as_hydra_writes(override) for override in overrides])
    # ValueError: what Hydra makes of a group that is chosen to be null.
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(explain_overrides(error, overrides)) from error
    try:
        return job_from_config(composed)
    except OmegaConfBaseException as error:
        raise InputError(explain_overrides(error, overrides)) from error


def job_from_config(config: DictConfig | ListConfig) -> JobConfig:
    """The validated job that a composed config describes, whole: nothing in it still refers to a preset by name.

    The one exception is `evaluation.settings`, which are checked here and looked up when they are needed.
    """
    job = OmegaConf.to_object(config)
    assert isinstance(job, JobConfig)
    check_known(job)
    job = resolve_job(job)
    validate_job(job)
    for setting in evaluation_settings(job):
        validate_environment(setting.environment, "evaluation.settings: ")
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
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. Name the directory of a run, which holds that file") from error
    except (UnicodeDecodeError, OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"{path} cannot be read as a run's config: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(group), dict) for group in GROUPS):
        raise InputError(f"{path} is not the config of a run")
    try:
        schema = OmegaConf.structured(JobConfig)
        members = {group: OmegaConf.structured(_member(group, content[group])) for group in GROUPS}
        return job_from_config(OmegaConf.merge(schema, members, content, OmegaConf.from_dotlist(overrides)))
    except YAMLError as error:
        raise InputError(f"{' '.join(overrides)!r} cannot be read. {HOW_TO_OVERRIDE}") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {explain_overrides(error, [])}") from error


def _as_hydra_writes(override: str) -> str:
    """The override; with the prefix by which Hydra adds a key, where the schema leaves open which keys there are."""
    key = override.partition("=")[0]
    if key.startswith("hydra."):
        raise InputError(f"{key} is a key of Hydra's own, and podmeta has none of these: it has run_dir")
    is_open = any(key == open_key or key.startswith(f"{open_key}.") for open_key in open_keys())
    return f"++{override}" if is_open else override


def _member(group: str, content: dict[str, Any]) -> type:
    """The dataclass that the name in a group's part of a file calls for."""
    name = content.get("name")
    if name not in GROUPS[group]:
        raise InputError(no_such_choice(group, str(name), GROUPS[group]))
    return GROUPS[group][name]
