"""Composes files and overrides to a `JobConfig`, by Hydra over the typed schema."""

import dataclasses
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from podmeta.config.messages import check_form, explain_overrides, has_several_values, no_such_choice
from podmeta.config.paths import split_paths
from podmeta.config.presets import hydra_over_presets
from podmeta.config.resolve import evaluation_settings, resolve_job
from podmeta.config.run_config import literal, parse_run_config, read_config_file
from podmeta.config.schema import GROUPS, JobConfig, loose, open_keys
from podmeta.config.shorthand import expand_overrides
from podmeta.config.swaps import with_fitting_unroll, with_swaps
from podmeta.config.validate import check_elements, check_known, check_shapes, validate_environment, validate_job
from podmeta.config.wrong_values import shown
from podmeta.errors import InputError

MACHINE_KEYS = ("distributed", "devices", "compilation_cache_dir")
"""Keys about the machine that a run was made on, which another command must not take from it."""


def compose_job(overrides: list[str]) -> JobConfig:
    """Composes and validates a job.

    Args:
      overrides: Hydra overrides, such as ["experiment=bandit", "outer.learning_rate=0.01"].

    Returns:
      The job.

    Raises:
      InputError: a key, a type, a value or a file is wrong; the message names it and the cure.
    """
    for override in overrides:
        check_form(override)
    given = expand_overrides(overrides)
    overrides, paths = split_paths(with_swaps(given))
    try:
        with hydra_over_presets() as compose:
            composed = compose("job", [_as_hydra_writes(override) for override in overrides])
    # ValueError: what Hydra makes of a group that is chosen to be null.
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(explain_overrides(error, given)) from error
    try:
        job = job_from_config(composed)
    except OmegaConfBaseException as error:
        raise InputError(explain_overrides(error, given)) from error
    return dataclasses.replace(with_fitting_unroll(job, given), **paths)


def job_from_config(config: DictConfig | ListConfig) -> JobConfig:
    """The validated job that a composed config describes, whole: nothing in it still refers to a preset by name.

    The one exception is `evaluation.settings`, which are checked here and looked up when they are needed.
    """
    for group in GROUPS:
        section = OmegaConf.select(config, group)
        if not isinstance(section, DictConfig):
            raise InputError(f"{group}={shown(section)} is not a mapping of keys to values. Set its keys one by one")
        written: Any = OmegaConf.to_container(section)
        schema: Any = OmegaConf.get_type(section)
        for field in dataclasses.fields(schema):
            check_elements(f"{group}.{field.name}", field.type, written.get(field.name))
    job = OmegaConf.to_object(config)
    assert isinstance(job, JobConfig)
    check_known(job)
    job = resolve_job(job)
    validate_job(job)
    for setting in evaluation_settings(job):
        validate_environment(setting.environment, "evaluation.settings: ")
    return job


def job_to_yaml(job: JobConfig) -> str:
    """A job as the text of a `config.yaml`, from which `job_from_yaml` makes the same job again, machine aside."""
    return OmegaConf.to_yaml(OmegaConf.create(literal(dataclasses.asdict(job))))


def job_from_yaml(path: Path, overrides: list[str]) -> JobConfig:
    """Reads the `config.yaml` of a run.

    What describes the machine that the run was made on has its default, unless an override sets it.

    Args:
      path: the file.
      overrides: keys to change, as `compose_job` takes them, such as ["evaluation.num_tasks=100"].

    Raises:
      InputError: there is no such file, it is not a job's, or a key or value is wrong.
    """
    return job_from_content(read_config_file(path), path, overrides)


def job_from_content(written: bytes, path: Path, overrides: list[str]) -> JobConfig:
    """As `job_from_yaml`, of a file that has been read.

    Args:
      written: the content of the file.
      path: the file, for messages.
      overrides: keys to change.

    Raises:
      InputError: it is not a job's, or a key or value is wrong.
    """
    content = parse_run_config(written, str(path))
    if not all(isinstance(content.get(group), dict) for group in GROUPS):
        raise InputError(f"{path} is not the config of a run")
    content = {key: value for key, value in content.items() if key not in MACHINE_KEYS}
    for override in overrides:
        check_form(override)
    overrides, paths = split_paths(overrides)
    try:
        schema = OmegaConf.structured(loose(JobConfig))
        members = {group: _member(group, content[group]) for group in GROUPS}
        for group, member in members.items():
            check_shapes(loose(member), content[group], f"{path}: {group}.")
        config = OmegaConf.merge(
            schema, {group: OmegaConf.structured(loose(member)) for group, member in members.items()}, literal(content)
        )
        for parsed in OverridesParser.create().parse_overrides(overrides):
            if parsed.is_sweep_override():
                raise InputError(has_several_values(str(parsed.input_line)))
            OmegaConf.update(config, parsed.key_or_group, parsed.value(), force_add=parsed.is_force_add())
        return dataclasses.replace(job_from_config(config), **paths)
    except OverrideParseException as error:
        raise InputError(explain_overrides(error, overrides)) from error
    except OmegaConfBaseException as error:
        is_given = any(override.partition("=")[0].startswith(str(error.full_key or "=")) for override in overrides)
        raise InputError(f"{'' if is_given else f'{path}: '}{explain_overrides(error, overrides)}") from error


def _as_hydra_writes(override: str) -> str:
    """The override; with the prefix by which Hydra adds a key, where the schema leaves open which keys there are."""
    key = override.partition("=")[0]
    is_open = any(key == open_key or key.startswith(f"{open_key}.") for open_key in open_keys())
    return f"++{override}" if is_open else override


def _member(group: str, content: dict[str, Any]) -> type:
    """The dataclass that the name in a group's part of a file calls for."""
    name = content.get("name")
    if not isinstance(name, str) or name not in GROUPS[group]:
        raise InputError(no_such_choice(group, str(name), GROUPS[group]))
    return GROUPS[group][name]
