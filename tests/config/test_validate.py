"""Every bound and every choice of the schema is kept, and what depends on one another fits."""

import copy
import dataclasses
import math
import typing
from typing import Any

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.schema import GROUPS
from podmeta.config.validate import validate_devices, validate_job
from podmeta.errors import InputError

MEMBERS = [(group, name) for group, members in GROUPS.items() for name in members]


def mixture(entry):
    return ["environment=mixture", f"environment.entries=[{entry}]"]


@pytest.fixture(scope="module")
def jobs():
    """A job with each member of each group, by group and name."""
    return {
        (group, name): compose_job(mixture("{environment: bandit}") if name == "mixture" else [f"{group}={name}"])
        for group, name in MEMBERS
    }


def keys_of(config: Any, prefix: str) -> list[tuple[str, dataclasses.Field[Any]]]:
    """The leaf keys of a config, dotted."""
    keys = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            keys += keys_of(value, f"{prefix}{field.name}.")
        else:
            keys.append((prefix + field.name, field))
    return keys


def with_value(job: Any, key: str, value: Any) -> Any:
    job = copy.deepcopy(job)
    *sections, name = key.split(".")
    config = job
    for section in sections:
        config = getattr(config, section)
    setattr(config, name, [value] if isinstance(getattr(config, name), list) else value)
    return job


def is_float(field: dataclasses.Field[Any]) -> bool:
    return field.type is float or typing.get_args(field.type) == (float,)


def wrong_values(field: dataclasses.Field[Any]) -> list[Any]:
    """A value beyond every bound and outside the choices; and no number at all, where the key wants one."""
    allowed, wrong = field.metadata, []
    step = 1e-6 if is_float(field) else 1
    if allowed["minimum"] is not None:
        wrong.append(allowed["minimum"] - step)
    if allowed["above"] is not None:
        wrong += [allowed["above"], allowed["above"] - 1.0]
    if allowed["maximum"] is not None:
        wrong.append(allowed["maximum"] + step)
    if allowed["choices"]:
        wrong.append("nonsense")
    if is_float(field):
        wrong += [math.nan, math.inf, -math.inf]
    elif field.type is int or typing.get_args(field.type) == (int,):
        wrong.append(2**32)
    return wrong


@pytest.mark.long
@pytest.mark.parametrize(("group", "name"), MEMBERS)
def test_no_value_of_a_member_may_leave_its_bounds(jobs, group, name):
    job = jobs[group, name]
    for key, field in keys_of(getattr(job, group), f"{group}."):
        for value in wrong_values(field):
            with pytest.raises(InputError) as error:
                validate_job(with_value(job, key, value))
            assert str(error.value).startswith(f"{key}="), (key, value)


def test_no_value_of_the_job_itself_may_leave_its_bounds(jobs):
    job = jobs["learner", "symmetric"]
    checked = 0
    for key, field in keys_of(job, ""):
        if key.partition(".")[0] not in GROUPS:
            for value in wrong_values(field):
                with pytest.raises(InputError, match=key):
                    validate_job(with_value(job, key, value))
                checked += 1
    assert checked > 20


@pytest.mark.parametrize(("group", "name"), MEMBERS)
def test_the_bounds_themselves_are_allowed(jobs, group, name):
    job = jobs[group, name]
    for key, field in keys_of(getattr(job, group), f"{group}."):
        for bound in (field.metadata["minimum"], field.metadata["maximum"]):
            if bound is not None:
                validate_job(with_value(job, key, bound))


def test_a_member_goes_by_no_other_name(jobs):
    with pytest.raises(InputError, match=r"learner\.name=recurrent .* learner=recurrent"):
        validate_job(with_value(jobs["learner", "symmetric"], "learner.name", "recurrent"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["outer.population_size=7"], r"outer\.population_size=7 does not divide into antithetic pairs: take 8"),
        (["architecture.num_instances=3", "architecture.instance_seeds=[1, 2]"], r"architecture\.instance_seeds has 2"),
        (["architecture.instance_noise_stds=[1, 2]"], r"architecture\.instance_noise_stds has 2"),
        (["environment.distribution=dependent_easy"], r"environment\.distribution=dependent_easy"),
        (["environment=mixture"], r"environment\.entries is empty"),
        (mixture("{environment: bandit, weight: 0}"), r"environment\.entries all have weight"),
        (
            mixture("{environment: bandit, distribution: dependent_easy}"),
            r"environment\.entries\[0\]\.distribution=dependent_easy",
        ),
        (mixture("{environment: bandit, num_arms: 1}"), r"environment\.entries\[0\]\.num_arms=1"),
        (["stages=[{num_updates: 3, num_arms: 1}]"], r"stages\[0\]\.num_arms=1"),
        (["stages=[{num_updates: 3, outer: {population_size: 5}}]"], r"population_size=5 does not divide"),
        (
            ["stages=[{num_updates: 3, outer: {noise_std: 0.5}}]", "architecture.instance_noise_stds=[0.1]"],
            r"stages\[0\]\.outer\.noise_std and architecture\.instance_noise_stds",
        ),
        (["evaluation.settings=[]"], r"evaluation\.settings is empty"),
    ],
)
def test_values_must_fit_one_another(overrides, message):
    with pytest.raises(InputError, match=message):
        compose_job(overrides)


@pytest.mark.parametrize(("population_size", "num_devices", "advice"), [(8, 3, 6), (2, 4, 8), (10, 2, 8), (22, 4, 24)])
def test_pairs_must_divide_over_devices_and_the_advice_does(population_size, num_devices, advice):
    def validate(size):
        validate_devices(compose_job([f"outer.population_size={size}"]), num_devices)

    with pytest.raises(InputError, match=rf"outer\.population_size={population_size} .* take {advice}\b"):
        validate(population_size)
    validate(advice)


def test_lifetimes_must_divide_over_devices_and_minibatches():
    job = compose_job(["outer=actor_critic", "outer.num_lifetimes=8", "outer.num_minibatches=2"])
    validate_devices(job, 4)
    with pytest.raises(InputError, match=r"outer\.num_lifetimes=8 .* multiple of 6"):
        validate_devices(job, 3)


def test_early_stopping_needs_meta_tests_during_training():
    with pytest.raises(InputError, match=r"evaluation\.stop_after=2 needs .* set evaluation\.every_updates"):
        compose_job(["evaluation.stop_after=2"])
    assert compose_job(["evaluation.stop_after=2", "evaluation.every_updates=5"]).evaluation.stop_after == 2


def test_videos_need_event_files():
    with pytest.raises(InputError, match=r"logging\.tensorboard_videos=true .* set logging\.tensorboard=true"):
        compose_job(["logging.tensorboard_videos=true", "logging.tensorboard=false"])
    assert compose_job(["logging.tensorboard_videos=true"]).logging.tensorboard_videos
