"""What a job's meta-tests during training test θ on."""

import dataclasses
import hashlib
import json

from podmeta.config.presets import is_file_name
from podmeta.config.schema import EnvironmentConfig
from podmeta.config.schema.job import JobConfig
from podmeta.config.suites import Suite, experiment_suite, load_suite
from podmeta.errors import InputError
from podmeta.value_types import Json


def periodic_suite(job: JobConfig) -> Suite:
    """The suite of the meta-tests during training.

    Raises:
      InputError: there is no such suite, or it is a file.
    """
    name = job.evaluation.periodic_suite
    if not name:
        return experiment_suite(job)
    if is_file_name(name):  # the config may be somebody else's, and so the code that such a file names
        raise InputError(f"evaluation.periodic_suite={name} is a file: name a suite that `podmeta evaluate` lists")
    return load_suite(name, job)


def describe_periodic_tests(job: JobConfig) -> str:
    """A digest of all that the score of a meta-test during training depends on besides θ. Only equal ones compare.

    Keys with their defaults have no part in it, so that it outlives keys that a later podmeta adds.
    """
    suite = periodic_suite(job)
    described = {
        "settings": [_without_defaults(setting.environment) for setting in suite.settings],
        "scale_observations": suite.scale_observations,
        "num_tasks": job.evaluation.periodic_tasks,
        "seed": job.evaluation.seed,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


def _without_defaults(environment: EnvironmentConfig) -> dict[str, Json]:
    defaults = dataclasses.asdict(type(environment)())
    return {
        key: value for key, value in dataclasses.asdict(environment).items() if key == "name" or value != defaults[key]
    }
