"""Checks that types cannot make: every message names the key and the cure."""

import dataclasses
import math
from typing import Any

from podmeta.config.schema import ActorCriticConfig, AnakinConfig, BanditConfig, EvolutionConfig, JobConfig
from podmeta.errors import InputError


def validate_job(job: JobConfig) -> None:
    """Checks every value of a job by itself, then those that depend on one another.

    Raises:
      InputError: the first value that makes no sense.
    """
    _check_fields(job, "")
    if isinstance(job.outer, EvolutionConfig):
        _check_evolution(job.outer)
    if isinstance(job.architecture, AnakinConfig):
        _check_anakin(job.architecture)
    if isinstance(job.environment, BanditConfig):
        _check_bandit(job.environment)


def validate_devices(job: JobConfig, num_devices: int) -> None:
    """Checks that the population, or the lifetimes and minibatches, divide over the devices.

    Raises:
      InputError: it does not.
    """
    if isinstance(job.outer, ActorCriticConfig):
        num_lifetimes, num_minibatches = job.outer.num_lifetimes, job.outer.num_minibatches
        if num_lifetimes % (num_devices * num_minibatches) != 0:
            raise InputError(
                f"outer.num_lifetimes={num_lifetimes} does not divide over {num_devices} devices with "
                f"outer.num_minibatches={num_minibatches} each: take a multiple of {num_devices * num_minibatches}"
            )
    if isinstance(job.outer, EvolutionConfig):
        num_pairs = job.outer.population_size // 2
        if num_pairs % num_devices != 0:
            nearest = max(1, round(num_pairs / num_devices)) * num_devices * 2
            raise InputError(
                f"outer.population_size={job.outer.population_size} does not divide into antithetic pairs over "
                f"{num_devices} devices: take {nearest}, or another devices.cpu"
            )


def _check_fields(config: Any, prefix: str) -> None:
    unknown = vars(config).keys() - {field.name for field in dataclasses.fields(config)}
    if unknown:
        raise InputError(f"unknown config key {prefix + min(unknown)!r}: the schema has no such key, take it away")
    for field in dataclasses.fields(config):
        key, value = prefix + field.name, getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _check_fields(value, key + ".")
            continue
        for element in value if isinstance(value, list) else [value]:
            _check_value(key, element, dict(field.metadata))


def _check_value(key: str, value: Any, allowed: dict[str, Any]) -> None:
    choices = allowed.get("choices")
    if choices and value not in choices:
        raise InputError(f"{key}={value} does not exist: choose one of {', '.join(choices)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise InputError(f"{key}={value} is not a finite number")
    minimum, above, maximum = (allowed.get(bound) for bound in ("minimum", "above", "maximum"))
    if minimum is not None and value < minimum:
        raise InputError(f"{key}={value} is too small: it must be at least {minimum}")
    if above is not None and value <= above:
        raise InputError(f"{key}={value} is too small: it must be above {above}")
    if maximum is not None and value > maximum:
        raise InputError(f"{key}={value} is too large: it must be at most {maximum}")


def _check_evolution(outer: EvolutionConfig) -> None:
    if outer.population_size % 2 != 0:
        raise InputError(
            f"outer.population_size={outer.population_size} is odd: members come in antithetic pairs, "
            f"take {outer.population_size + 1}"
        )


def _check_anakin(architecture: AnakinConfig) -> None:
    for key in ("instance_seeds", "instance_learning_rates", "instance_noise_stds"):
        values = getattr(architecture, key)
        if values and len(values) != architecture.num_instances:
            raise InputError(
                f"architecture.{key} has {len(values)} values for architecture.num_instances="
                f"{architecture.num_instances}: give one per instance, or none"
            )


def _check_bandit(environment: BanditConfig) -> None:
    if environment.distribution != "independent" and environment.num_arms != 2:
        raise InputError(
            f"environment.distribution={environment.distribution} is for two arms: set environment.num_arms=2, "
            "or environment.distribution=independent"
        )
