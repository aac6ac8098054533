"""Resolves environments that a job describes by a preset and changes to it: mixtures, stages, evaluation settings.

They all share one form. `{environment: bandit, num_arms: 10}` is the preset configs/environment/bandit.yaml with a key
changed; `{environment: gymnax/Acrobot-v1}` is a preset with its id; without `environment` the changes are made to the
job's own environment. In the `config.yaml` of a run, `environment` holds the whole of it in the place of a name, so
that a run does not depend on presets.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from podmeta.config.messages import explain, no_such_choice
from podmeta.config.presets import environment_preset, list_options
from podmeta.config.run_config import literal
from podmeta.config.schema import (
    GROUPS,
    EnvironmentConfig,
    JobConfig,
    MixtureConfig,
    MixtureEntryConfig,
    OuterLoopConfig,
    StageConfig,
    loose,
)
from podmeta.config.shorthand import split_reference
from podmeta.config.validate import check_shapes
from podmeta.errors import InputError
from podmeta.value_types import Json

SCORED_BY, FAILURES = "scored_by", "failures"
"""The key that a setting of a suite may have besides those of its environment, and its one value."""

_DEFAULT_NUM_UPDATES = 100
_ENTRY_KEYS = tuple(field.name for field in dataclasses.fields(MixtureEntryConfig) if field.name != "environment")
_STAGE_KEYS = tuple(field.name for field in dataclasses.fields(StageConfig) if field.name != "environment")
_EXAMPLE = "{environment: bandit, num_arms: 10}"


class EvaluationSetting(NamedTuple):
    """One meta-test of a job.

    Attributes:
      environment: where.
      changes: the keys that tell it from the others of the job.
    """

    environment: EnvironmentConfig
    changes: dict[str, Json]

    @property
    def scored_by_failures(self) -> bool:
        """Whether every figure is of -1 for each episode that terminates, whatever the learner is paid."""
        return self.changes.get(SCORED_BY) == FAILURES


def resolve_job(job: JobConfig) -> JobConfig:
    """The job with its mixtures and stages typed and whole, and its number of updates.

    Args:
      job: as Hydra has composed it, an instance of `loose(JobConfig)`.

    Returns:
      A `JobConfig` proper.

    Raises:
      InputError: an entry or a stage is wrong; the message names its index and key.
    """
    stages = [_stage(described, job, f"stages[{index}]") for index, described in enumerate(job.stages)]
    num_updates = job.num_updates
    if num_updates == -1:
        num_updates = sum(stage.num_updates for stage in stages) if stages else _DEFAULT_NUM_UPDATES
    environment = _with_whole_entries(job.environment, "environment.")
    whole = {"environment": environment, "stages": stages, "num_updates": num_updates}
    return JobConfig(**(vars(job) | whole))


def evaluation_settings(job: JobConfig) -> list[EvaluationSetting]:
    """The meta-tests of a resolved job: see `settings_of`."""
    return settings_of(job, job.evaluation.settings, "evaluation.settings")


def settings_of(job: JobConfig, descriptions: Sequence[Json], where: str) -> list[EvaluationSetting]:
    """The meta-tests that are described, of a job. A mixture is tested on every entry, a curriculum as its last stage.

    Args:
      job: the job, resolved.
      descriptions: environments; those that name none change the one trained on.
      where: the descriptions' place, for messages.

    Raises:
      InputError: a setting is wrong; the message names its index and key.
    """
    trained_on = job.stages[-1].environment if job.stages else job.environment
    settings = []
    for index, described in enumerate(descriptions):
        environment = _environment(described, trained_on, f"{where}[{index}]")
        if isinstance(environment, MixtureConfig):
            settings += [EvaluationSetting(entry.environment, {"entry": entry.label}) for entry in environment.entries]
        else:
            settings.append(EvaluationSetting(environment, dict(described)))
    return settings


def _environment(
    described: Any, base: Any, where: str, keys_beside: Iterable[str] = ()
) -> EnvironmentConfig | MixtureConfig:
    """The environment of a description.

    Args:
      described: the description.
      base: the environment to change where the description names none.
      where: the description's place in the job.
      keys_beside: keys that may stand beside those of the environment, and have been taken out.
    """
    described = _mapping(described, where)
    changes = {key: value for key, value in described.items() if key != "environment"}
    whole = _named_environment(described["environment"], where) if "environment" in described else base
    keys = _keys(whole)
    stray = next((key for key in changes if key not in keys), None)
    if whole is base and isinstance(base, MixtureConfig) and stray is not None:
        raise InputError(f"{where} changes {stray} without an environment: name one, as in {_EXAMPLE}")
    environment = _merged(whole, changes, [*keys_beside, *keys], where) if changes or whole is not base else base
    return _with_whole_entries(environment, f"{where}.")


def _named_environment(reference: Any, where: str) -> EnvironmentConfig | MixtureConfig:
    """The preset of a name, or of a name and an id; or a whole environment, typed."""
    if isinstance(reference, Mapping):
        name, choices = reference.get("name"), GROUPS["environment"]
        if not isinstance(name, str) or name not in choices:
            raise InputError(no_such_choice(f"{where}.environment.name", str(name), choices))
        return _merged(choices[name], reference, _keys(choices[name]), f"{where}.environment")
    presets = list_options("environment")
    preset, id = split_reference(str(reference))
    if preset not in presets:
        raise InputError(no_such_choice(f"{where}.environment", str(reference), presets))
    whole = environment_preset(preset)
    return _merged(whole, {"id": id}, ["id"], where) if id else whole


def _with_whole_entries(environment: Any, prefix: str) -> EnvironmentConfig | MixtureConfig:
    """A mixture with its entries typed; any other environment as it is."""
    if not isinstance(environment, MixtureConfig):
        return environment
    if environment.is_whole:
        return MixtureConfig(environment.name, environment.entries)
    descriptions: list[Any] = list(environment.entries)
    wheres = [f"{prefix}entries[{index}]" for index in range(len(descriptions))]
    entries = [_entry(described, where) for described, where in zip(descriptions, wheres, strict=True)]
    labels = [entry.label or label for entry, label in zip(entries, _labels(descriptions), strict=True)]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise InputError(
                f"{wheres[index]} has the same label as {wheres[labels.index(label)]}, {label}: give it another"
            )
    entries = [dataclasses.replace(entry, label=label) for entry, label in zip(entries, labels, strict=True)]
    return MixtureConfig(environment.name, entries)


def _entry(described: Any, where: str) -> MixtureEntryConfig:
    described = _mapping(described, where)
    if described.get("environment") is None:
        raise InputError(f"{where} has no environment: name one, as in {_EXAMPLE}")
    keys = {key: value for key, value in described.items() if key in _ENTRY_KEYS}
    rest = {key: value for key, value in described.items() if key not in _ENTRY_KEYS}
    environment = _environment(rest, None, where, _ENTRY_KEYS)
    if isinstance(environment, MixtureConfig):
        raise InputError(f"{where} is itself a mixture: put its entries here instead")
    own = _merged(MixtureEntryConfig, keys, _ENTRY_KEYS, where)
    return MixtureEntryConfig(environment, own.lifetimes, own.weight, own.label)


def _labels(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels of entries that have none: the preset's name, with the changed keys where several share a preset."""
    references = [entry["environment"] for entry in entries]
    names = [reference if isinstance(reference, str) else reference["name"] for reference in references]
    occurrences = Counter(names)
    changes = [
        "".join(f"_{key}_{value}" for key, value in entry.items() if key not in ("environment", *_ENTRY_KEYS))
        for entry in entries
    ]
    return [name + (changed if occurrences[name] > 1 else "") for name, changed in zip(names, changes, strict=True)]


def _stage(described: Any, job: JobConfig, where: str) -> StageConfig:
    described = _mapping(described, where)
    if described.get("num_updates") is None:
        raise InputError(f"{where} has no num_updates: set the number of its updates")
    own = _merged(StageConfig, {"num_updates": described["num_updates"]}, ["num_updates"], where)
    rest = {key: value for key, value in described.items() if key not in _STAGE_KEYS}
    environment = _environment(rest, job.environment, where, _STAGE_KEYS)
    changes = _mapping(described.get("outer", {}), f"{where}.outer")
    whole: OuterLoopConfig | type = job.outer
    name = changes.get("name", job.outer.name)
    if name != job.outer.name:  # the other outer loop, from its own defaults
        if not isinstance(name, str) or name not in GROUPS["outer"]:
            raise InputError(no_such_choice(f"{where}.outer.name", str(name), GROUPS["outer"]))
        whole = GROUPS["outer"][name]
    outer = _merged(whole, changes, _keys(whole), f"{where}.outer")
    return StageConfig(environment, own.num_updates, outer)


def _mapping(described: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(described, Mapping):
        raise InputError(f"{where}={described!r} is not a mapping of keys to values, such as {_EXAMPLE}")
    return described


def _merged(whole: Any, changes: Mapping[str, Any], keys: Iterable[str], where: str) -> Any:
    """A copy of a config, or of a dataclass's defaults, with some keys changed."""
    schema = loose(whole if isinstance(whole, type) else type(whole))
    check_shapes(schema, changes, f"{where}.")
    before = schema if isinstance(whole, type) else schema(**vars(literal(whole)))
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(before), literal(dict(changes))))
    except OmegaConfBaseException as error:
        schemas: tuple[Any, ...] = (schema, MixtureEntryConfig, StageConfig)  # both have keys beside it
        fields = {field.name: field for each in reversed(schemas) for field in dataclasses.fields(each)}
        fields = {name: field for name, field in fields.items() if name in (*keys, *changes)}
        raise InputError(explain(error, fields, f"The keys are {', '.join(keys)}", f"{where}.")) from error


def _keys(config: Any) -> list[str]:
    """The keys of a dataclass."""
    return [field.name for field in dataclasses.fields(config)]
