"""Checks beyond types. Every message names the key and the cure."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from podmeta.config.messages import unknown_key
from podmeta.config.profiled_updates import profiled_updates
from podmeta.config.schema import (
    GROUPS,
    AnakinConfig,
    BanditConfig,
    DistributedConfig,
    EnvironmentConfig,
    JobConfig,
    MixtureConfig,
    MixtureEntryConfig,
    OuterLoopConfig,
    StageConfig,
)
from podmeta.config.schema.loose import Dataclass
from podmeta.config.stages import Stage, stages_of
from podmeta.config.wrong_values import in_words, shown
from podmeta.errors import InputError
from podmeta.value_types import Json

_LARGEST_INTEGER = 2**31 - 1
"""Unless a key says otherwise: what JAX's integers hold."""


def validate_job(job: JobConfig) -> None:
    """Checks every value of a job by itself, then those that depend on one another.

    Raises:
      InputError: a value is invalid; the message is about the first one.
    """
    for group, members in GROUPS.items():
        config = getattr(job, group)
        if members.get(config.name) is not type(config):
            raise InputError(f"{group}.name={config.name} does not choose the {group}: write {group}={config.name}")
    check_fields(job, "")
    if job.evaluation.enabled and not job.evaluation.settings:
        raise InputError("evaluation.settings is empty: write [{}] for the job's own, or evaluation.enabled=false")
    if job.evaluation.stop_after and not job.evaluation.every_updates:
        raise InputError(
            f"evaluation.stop_after={job.evaluation.stop_after} needs meta-tests during training: set "
            "evaluation.every_updates"
        )
    if job.logging.tensorboard_videos and not job.logging.tensorboard:
        raise InputError(
            "logging.tensorboard_videos=true needs TensorBoard's event files: set logging.tensorboard=true"
        )
    if isinstance(job.architecture, AnakinConfig):
        _check_anakin(job.architecture)
    _check_distributed(job.distributed)
    profiled_updates(job.profile)
    for stage in stages_of(job):
        _check_environment(stage.environment, f"{stage.name}.")
        _check_size(stage.outer)
        _check_instances(job, stage)


def validate_environment(environment: EnvironmentConfig | MixtureConfig, prefix: str) -> None:
    """Checks every value of an environment's config by itself, then those that depend on one another.

    Args:
      environment: the config.
      prefix: what a message says before a key.

    Raises:
      InputError: a value is invalid; the message is about the first one.
    """
    check_fields(environment, prefix)
    _check_environment(environment, prefix)


def validate_devices(job: JobConfig, num_devices: int) -> None:
    """Checks that the slots of every stage, and minibatches, divide over the devices of Anakin.

    Raises:
      InputError: they do not.
    """
    if isinstance(job.architecture, AnakinConfig):
        for stage in stages_of(job):
            check_division(stage.outer, num_devices, num_devices, f"{num_devices} devices")


def check_division(outer: OuterLoopConfig, num_parties: int, num_devices: int, parties: str) -> None:
    """Checks that the slots of an update divide over those who work on them.

    Args:
      outer: the outer loop's config.
      num_parties: over how many the slots divide.
      num_devices: devices that update, each of which may divide its slots further.
      parties: both in words.

    Raises:
      InputError: they do not.
    """
    multiple = math.lcm(num_parties, num_devices * outer.slots_multiple)
    if outer.num_slots % multiple != 0:
        minibatches = f" with {outer.slots_multiple} minibatches on each" if outer.slots_multiple > 1 else ""
        unit = multiple * outer.slot_size
        raise InputError(
            f"outer.{outer.size_key}={outer.size} makes {outer.num_slots} {outer.slot_name}, which do not divide over "
            f"{parties}{minibatches}: take {max(1, round(outer.size / unit)) * unit}, or another multiple of {unit}"
        )


def check_known(config: Dataclass, prefix: str = "") -> None:
    """Checks that a config holds no key that its schema has not, as Hydra lets a user add with `+`.

    Raises:
      InputError: it does.
    """
    unknown = vars(config).keys() - {field.name for field in dataclasses.fields(config)}
    if unknown:
        raise InputError(unknown_key(prefix + min(unknown)))


def check_fields(config: Dataclass, prefix: str) -> None:
    """Checks every value of a config by itself, against what its schema allows.

    Args:
      config: a dataclass of the schema.
      prefix: what a message says before a key.

    Raises:
      InputError: a value is invalid; the message is about the first one.
    """
    check_known(config, prefix)
    for field in dataclasses.fields(config):
        key, value = prefix + field.name, getattr(config, field.name)
        if field.name == "environment" and isinstance(config, MixtureEntryConfig | StageConfig):
            check_fields(value, prefix)  # its keys stand beside those of the entry or stage
            continue
        check_elements(key, field.type, value)
        in_list = isinstance(value, list)
        for index, element in enumerate(value if in_list else [value]):
            if dataclasses.is_dataclass(element) and not isinstance(element, type):
                check_fields(element, f"{key}[{index}]." if in_list else f"{key}.")
            else:
                _check_value(key, element, dict(field.metadata))


def check_shapes(schema: type, content: Mapping[str, Json], prefix: str) -> None:
    """Checks that sections are mappings, and lists lists that hold no list or mapping, which OmegaConf lets through.

    Args:
      schema: a dataclass of the schema.
      content: values of its keys, before they are typed.
      prefix: what a message says before a key.

    Raises:
      InputError: a key has another value.
    """
    for name, hint in typing.get_type_hints(schema).items():
        if name not in content:
            continue
        value = content[name]
        if dataclasses.is_dataclass(hint) and not isinstance(value, Mapping):
            raise InputError(f"{prefix}{name}={shown(value)} is not {in_words(hint)}")
        if typing.get_origin(hint) is list and not isinstance(value, list):
            raise InputError(f"{prefix}{name}={shown(value)} is not {in_words(hint)}: write it in brackets")
        check_elements(prefix + name, hint, value)


def check_elements(key: str, kind: Any, value: Json) -> None:
    """Checks that a list of numbers or words holds no list or mapping.

    Args:
      key: what the user writes before the value.
      kind: its type in the schema.
      value: the value.

    Raises:
      InputError: it does.
    """
    if not isinstance(value, list) or typing.get_args(kind) not in ((int,), (float,), (str,)):
        return
    for index, element in enumerate(value):
        if isinstance(element, list | dict):
            raise InputError(
                f"{key}[{index}]={shown(element)} does not belong in {in_words(kind)}: remove its brackets"
            )


def _check_value(key: str, value: Any, allowed: dict[str, Any]) -> None:
    choices = allowed.get("choices")
    if choices and value not in choices:
        raise InputError(f"{key}={value} does not exist: choose one of {', '.join(choices)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise InputError(f"{key}={value} is not a finite number")
    minimum, above, maximum = (allowed.get(bound) for bound in ("minimum", "above", "maximum"))
    if maximum is None and isinstance(value, int):
        maximum = _LARGEST_INTEGER
    if minimum is not None and value < minimum:
        raise InputError(f"{key}={value} is too small: it must be at least {minimum}")
    if above is not None and value <= above:
        raise InputError(f"{key}={value} is too small: it must be above {above}")
    if maximum is not None and value > maximum:
        raise InputError(f"{key}={value} is too large: it must be at most {maximum}")


def _check_size(outer: OuterLoopConfig) -> None:
    if outer.size % outer.slot_size != 0:
        raise InputError(
            f"outer.{outer.size_key}={outer.size} does not divide into {outer.slot_name}: take "
            f"{outer.size + outer.slot_size - outer.size % outer.slot_size}"
        )


def _check_anakin(architecture: AnakinConfig) -> None:
    for key in ("instance_seeds", "instance_learning_rates", "instance_noise_stds"):
        values = getattr(architecture, key)
        if values and len(values) != architecture.num_instances:
            raise InputError(
                f"architecture.{key} has {len(values)} values for architecture.num_instances="
                f"{architecture.num_instances}: give one per instance, or none"
            )


def _check_distributed(distributed: DistributedConfig) -> None:
    """Checks that a coordinator address comes with the number of processes and the process's own number."""
    address, num_processes, process_id = (
        distributed.coordinator_address,
        distributed.num_processes,
        distributed.process_id,
    )
    if not address:
        if num_processes > 0 or process_id >= 0:
            raise InputError(
                "distributed.num_processes and process_id need distributed.coordinator_address: set it to host:port of "
                "process 0, or set none of them"
            )
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"distributed.coordinator_address={address} is not host:port")
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"distributed.process_id={process_id} is not one of the distributed.num_processes={num_processes}: "
            "set both, counting from 0"
        )


def _check_instances(job: JobConfig, stage: Stage) -> None:
    """A value that each instance has of its own holds for the whole job, so no stage can change it."""
    for key, own in (("learning_rate", "instance_learning_rates"), ("noise_std", "instance_noise_stds")):
        changed = getattr(stage.outer, key, None) != getattr(job.outer, key, None)
        if changed and getattr(job.architecture, own, []):
            raise InputError(f"{stage.name}.outer.{key} and architecture.{own} both set {key}: remove one of them")


def _check_environment(environment: Any, prefix: str) -> None:
    if isinstance(environment, MixtureConfig):
        _check_mixture(environment, prefix)
    elif isinstance(environment, BanditConfig):
        _check_bandit(environment, prefix)


def _check_mixture(mixture: MixtureConfig, prefix: str) -> None:
    if not mixture.entries:
        raise InputError(
            f"{prefix}entries is empty: a mixture needs environments, such as "
            "[{environment: bandit}, {environment: cartpole}]"
        )
    if all(entry.weight == 0 for entry in mixture.entries):
        raise InputError(f"{prefix}entries all have weight 0, so nothing is learned: give one a positive weight")
    for index, entry in enumerate(mixture.entries):
        _check_environment(entry.environment, f"{prefix}entries[{index}].")


def _check_bandit(environment: BanditConfig, prefix: str) -> None:
    if environment.distribution != "independent" and environment.num_arms != 2:
        raise InputError(
            f"{prefix}distribution={environment.distribution} is for two arms: set {prefix}num_arms=2, "
            f"or {prefix}distribution=independent"
        )
    if environment.distribution != "independent" and environment.rewards != "bernoulli":
        raise InputError(
            f"{prefix}distribution={environment.distribution} is of arm probabilities, which "
            f"{prefix}rewards={environment.rewards} has none of: set {prefix}distribution=independent"
        )
