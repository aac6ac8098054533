"""Adapts an experiment to another environment, learner or outer loop than its own.

Keys of the experiment that the user's choice does not have are dropped, and so are meta-tests that change such keys.
The environment determines the architecture, and an unroll that does not divide its lifetime is shortened.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from podmeta.config.messages import explain
from podmeta.config.presets import find_preset, is_file_name, member_of, read_mapping
from podmeta.config.schema import (
    GROUPS,
    EnvironmentConfig,
    FactoryConfig,
    HostEnvironmentConfig,
    JobConfig,
    section_of,
)
from podmeta.config.shorthand import expand_overrides
from podmeta.config.stages import environments_of
from podmeta.config.wrong_values import shown
from podmeta.errors import InputError

_ADAPTED = "adapted_to_the_command_line"
_DEFAULTS = "Write [bandit, {override /learner: recurrent}] for an experiment to start from and a choice"
_SECTIONS = (*GROUPS, *(field.name for field in dataclasses.fields(JobConfig) if section_of(field) is not None))
_SHORTEST = 0.25  # of an unroll: one that would have to be shorter is an error


class _Experiment(NamedTuple):
    """An experiment with those it starts from.

    Attributes:
      choices: by group, the choice.
      content: its keys.
    """

    choices: dict[str, str]
    content: dict[str, Any]


def with_swaps(overrides: list[str]) -> list[str]:
    """The overrides, with an architecture for the environment that is chosen, and an experiment that it fits."""
    members = _chosen_members(overrides)
    if "architecture" in members and not any(override.startswith("architecture=") for override in overrides):
        overrides = [f"architecture={members['architecture'].name}", *overrides]  # type: ignore[attr-defined]  # has a default
    return [_adapted(override, members) for override in overrides]


def swap_notes(overrides: list[str]) -> list[str]:
    """A line about keys of the experiment that are dropped, because what is chosen instead of its own has none such.

    Args:
      overrides: as the user gave them, of a job that composes.
    """
    overrides = expand_overrides(overrides)
    members = _chosen_members(overrides)
    dropped: list[str] = []
    for key, _, name in (override.partition("=") for override in overrides):
        path = (Path(name) if is_file_name(name) else find_preset("experiment", name)) if key == "experiment" else None
        if path is None:
            continue
        for section, value in _read(path).content.items():
            fitting = _fitting(section, value, members)
            if isinstance(value, Mapping) and fitting != value:
                dropped += [f"{section}.{inner}" for inner in value if fitting.get(inner) != value[inner]]
    if not dropped:
        return []
    chosen = ", ".join(f"{group}={getattr(member, 'name', '')}" for group, member in members.items())
    return [f"keys of the experiment that do not fit {chosen} are left out: {', '.join(dropped)}"]


def _chosen_members(overrides: list[str]) -> dict[str, type]:
    """By group, the dataclass of what the overrides choose; an architecture also where the environment needs one."""
    chosen = {key: value for key, _, value in (override.partition("=") for override in overrides) if key in GROUPS}
    members = {group: member for group, name in chosen.items() if (member := member_of(group, name)) is not None}
    architecture = _architecture_for(members.get("environment"))
    if architecture is not None and "architecture" not in chosen:
        members["architecture"] = GROUPS["architecture"][architecture]
    return members


def with_fitting_unroll(job: JobConfig, overrides: list[str]) -> JobConfig:
    """The job, whose unrolls divide the lifetimes where another environment was chosen and no unroll length was."""
    keys = {override.partition("=")[0] for override in overrides}
    unroll_length = getattr(job.outer, "unroll_length", 0)
    if "environment" not in keys or "outer.unroll_length" in keys or not unroll_length:
        return job
    length = math.gcd(*(environment.lifetime_length for environment in environments_of(job.environment)))
    fitting = max(divisor for divisor in range(1, min(unroll_length, length) + 1) if length % divisor == 0)
    if fitting < _SHORTEST * min(unroll_length, length):
        return job
    return dataclasses.replace(job, outer=dataclasses.replace(job.outer, unroll_length=fitting))  # type: ignore[call-arg]  # has the key


def _architecture_for(environment: type | None) -> str | None:
    """The architecture that runs an environment; None if that is not known yet."""
    if environment is None or not issubclass(environment, EnvironmentConfig) or environment is FactoryConfig:
        return None
    return "sebulba" if issubclass(environment, HostEnvironmentConfig) else "anakin"


def _adapted(override: str, members: Mapping[str, type]) -> str:
    """The override; where it is an experiment that the members chosen do not fit, or a file, one that is stored."""
    key, _, name = override.partition("=")
    if key != "experiment":
        return override
    path = Path(name) if is_file_name(name) else find_preset("experiment", name)
    if path is None:
        return override
    experiment = _read(path)
    content = {key: _fitting(key, value, members) for key, value in experiment.content.items()}
    if content == experiment.content and not is_file_name(name):
        return override
    content.setdefault("experiment_name", path.stem)
    defaults = [{f"override /{group}": choice} for group, choice in experiment.choices.items()]
    node = {"defaults": [*defaults, "_self_"], **content}
    ConfigStore.instance().store(group="experiment", name=_ADAPTED, node=node, package="_global_")
    return f"experiment={_ADAPTED}"


def _fitting(key: str, value: Any, members: Mapping[str, type]) -> Any:
    """What is left of the value of an experiment's key."""
    if not isinstance(value, Mapping):
        return value
    if key in members:
        known = _keys(members[key])
        return {inner: each for inner, each in value.items() if inner in known}
    settings = value.get("settings")
    if key == "evaluation" and "environment" in members and isinstance(settings, list):
        known = _keys(members["environment"])
        settings = [
            each for each in settings if not isinstance(each, Mapping) or "environment" in each or each.keys() <= known
        ]
        return {**value, "settings": settings or [{}]}
    return value


def _read(path: Path) -> _Experiment:
    """The experiment of a file."""
    own = read_mapping(path, "experiment")
    defaults = own.pop("defaults", [])
    choices: dict[str, str] = {}
    contents = []
    for key in _SECTIONS:
        if not isinstance(own.get(key, {}), Mapping):
            raise InputError(f"{path}: {key}={shown(own[key])} is not a mapping. Write its keys below it, indented")
    if not isinstance(defaults, list):
        raise InputError(f"{path}: defaults={shown(defaults)} is not a list. {_DEFAULTS}")
    for entry in defaults:
        if entry == "_self_":
            contents.append(own)
        elif isinstance(entry, str):
            below = _read(_beside(path, entry))
            choices |= below.choices
            contents.append(below.content)
        elif not isinstance(entry, Mapping) or not all(isinstance(choice, str) for choice in entry.values()):
            raise InputError(f"{path}: defaults cannot hold {shown(entry)}. {_DEFAULTS}")
        else:
            choices |= {key.removeprefix("override").strip(" /"): choice for key, choice in entry.items()}
    if "_self_" not in defaults:
        contents.append(own)
    for group in ("learner", "environment", "outer"):
        if isinstance(own.get(group), dict) and "factory" in own[group]:
            choices.setdefault(group, "factory")
    architecture = (
        _architecture_for(member_of("environment", choices["environment"])) if "environment" in choices else None
    )
    if architecture is not None:
        choices.setdefault("architecture", architecture)
    try:
        merged: Any = OmegaConf.to_container(OmegaConf.merge(*contents))
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {explain(error, {}, 'It starts from another experiment')}") from error
    return _Experiment(choices, merged)


def _beside(path: Path, name: str) -> Path:
    """The file of the experiment that one starts from: in the same folder, or of podmeta."""
    beside = path.with_name(f"{name}.yaml")
    found = beside if beside.exists() else find_preset("experiment", name)
    if found is None:
        raise InputError(f"{path} starts from the experiment {name}, which does not exist")
    return found


def _keys(schema: type) -> set[str]:
    return {field.name for field in dataclasses.fields(schema)}
