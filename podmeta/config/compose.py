"""From files and overrides to a `JobConfig`: Hydra's composition over the typed schema."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from podmeta.config.schema import GROUPS, JobConfig
from podmeta.config.validate import validate_job
from podmeta.errors import InputError


def config_directory() -> Path:
    """The folder of the YAML files: inside an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def list_options(group: str) -> dict[str, str]:
    """The choices of a config group, by name, each with the first comment line of its file."""
    options = {}
    for path in sorted((config_directory() / group).glob("*.yaml")):
        comments = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("# ")]
        options[path.stem] = comments[0] if comments else ""
    return options


def compose_job(overrides: list[str]) -> JobConfig:
    """Composes and validates a job.

    Args:
      overrides: Hydra overrides, such as ["experiment=bandit", "outer.learning_rate=0.01"].

    Returns:
      The job.

    Raises:
      InputError: a key, a type, a value or a file is wrong; the message names it and the cure.
    """
    _register_schema()
    try:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
            composed = hydra.compose("job", overrides)
        return job_from_config(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_explain(error, overrides)) from error


def job_from_config(config: DictConfig | ListConfig) -> JobConfig:
    """The validated job that a composed config describes."""
    job = OmegaConf.to_object(config)
    assert isinstance(job, JobConfig)
    validate_job(job)
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
        raise InputError(f"{path}: {_explain(error, [])}") from error


def environment_with(environment: Any, changes: dict[str, Any], where: str) -> Any:
    """A copy of an environment config with some keys changed.

    Raises:
      InputError: a key does not exist or a value has the wrong type; the message starts with `where`.
    """
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(environment), changes))
    except OmegaConfBaseException as error:
        raise InputError(f"{where}: {_explain(error, [])}") from error


def _typed(group: str, content: dict[str, Any]) -> DictConfig | ListConfig:
    name = content.get("name")
    if name not in GROUPS[group]:
        raise InputError(_unknown(group, str(name), list(GROUPS[group])))
    return OmegaConf.merge(OmegaConf.structured(GROUPS[group][name]), content)


def _register_schema() -> None:
    store = ConfigStore.instance()
    store.store(name="job_schema", node=JobConfig)
    for group, members in GROUPS.items():
        for name, schema in members.items():
            store.store(group=group, name=f"{name}_schema", node=schema)


def _explain(error: Exception, overrides: list[str]) -> str:
    """What was wrong, in a line or two, with the nearest names that exist."""
    for override in overrides:
        group, _, name = override.partition("=")
        choices = list_options(group) if group.isidentifier() and "=" in override else {}
        if choices and name and name not in choices:
            return _unknown(group, name, list(choices))
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ if isinstance(cause.__cause__, Exception) else error
    message = str(cause).splitlines()[0]
    key = str(getattr(cause, "full_key", None) or "")
    if not key:
        return str(error).splitlines()[0]
    if "not in" in message or "is not in struct" in message:
        hint = _nearest(key, _all_keys())
        return f"unknown config key {key!r}.{hint} `podmeta train --help` lists the experiments and groups"
    return f"{key}: {message}"


def _unknown(group: str, name: str, choices: list[str]) -> str:
    hint = _nearest(name, choices)
    return f"{group}={name} does not exist.{hint} Choose one of: {', '.join(choices)}"


def _nearest(word: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(word, choices, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _all_keys() -> list[str]:
    """Every key of the schema, dotted."""
    keys = [field.name for field in dataclasses.fields(JobConfig)]
    sections: list[tuple[str, type]] = [(group, schema) for group in GROUPS for schema in GROUPS[group].values()]
    sections += [
        (field.name, field.type)
        for field in dataclasses.fields(JobConfig)
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type)
    ]
    for name, schema in sections:
        keys += [f"{name}.{field.name}" for field in dataclasses.fields(schema)]
    return keys
