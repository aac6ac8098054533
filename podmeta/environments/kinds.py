"""Of which kind the environment is that a function of the user's makes, and so which architecture it needs."""

import dataclasses
from collections.abc import Iterable

from podmeta.arithmetic import own_arithmetic
from podmeta.config.schema import (
    AnakinConfig,
    EnvironmentConfig,
    FactoryConfig,
    HostEnvironmentConfig,
    JaxFactoryConfig,
    JobConfig,
    MixtureConfig,
    SebulbaConfig,
)
from podmeta.config.stages import environments_of, stages_of
from podmeta.config.suites import Suite
from podmeta.environments.host.dm_env_sources import as_dm_env
from podmeta.environments.host.patience import EnvironmentThread
from podmeta.environments.jax.factory import is_jax_environment
from podmeta.factories import Factory


def with_known_kinds(job: JobConfig, overrides: Iterable[str] = ()) -> JobConfig:
    """The job, in which every factory is known to make a JAX or a host environment. The factories are called.

    An architecture for the other kind is replaced by the one that runs these, with its defaults.

    Args:
      job: a job of the user's own, or one that is trusted. JAX must be set up.
      overrides: the user's, of which architecture=NAME keeps the architecture.

    Raises:
      InputError: a function cannot be imported or called.
    """
    named = [config for stage in stages_of(job) for config in environments_of(stage.environment)]
    if not any(type(config) is FactoryConfig for config in named):
        return job
    stages = [dataclasses.replace(stage, environment=_known(stage.environment)) for stage in job.stages]
    known = dataclasses.replace(job, environment=_known(job.environment), stages=stages)
    on_host = {
        isinstance(config, HostEnvironmentConfig)
        for stage in stages_of(known)
        for config in environments_of(stage.environment)
    }
    needed = SebulbaConfig if on_host == {True} else AnakinConfig
    is_chosen = any(override.startswith("architecture=") for override in overrides)
    if is_chosen or len(on_host) > 1 or isinstance(known.architecture, needed):
        return known
    return dataclasses.replace(known, architecture=needed(updates_per_call=known.architecture.updates_per_call))


def with_known_kind(config: EnvironmentConfig) -> EnvironmentConfig:
    """The config of an environment, which is a `JaxFactoryConfig` where a function makes one that is JAX.

    Raises:
      InputError: the function cannot be imported or called.
      PodmetaError: it does not return.
    """
    if type(config) is not FactoryConfig:
        return config
    thread = EnvironmentThread(f"factory {config.factory}")
    known = thread.call(_look_at, config)
    thread.end()
    return known


def with_known_settings(suite: Suite) -> Suite:
    """The suite, in which every factory is known to make a JAX or a host environment.

    Raises:
      InputError: a function cannot be imported or called.
      PodmetaError: it does not return.
    """
    known = [setting._replace(environment=with_known_kind(setting.environment)) for setting in suite.settings]
    return suite._replace(settings=known)


def _known(environment: EnvironmentConfig | MixtureConfig) -> EnvironmentConfig | MixtureConfig:
    if not isinstance(environment, MixtureConfig):
        return with_known_kind(environment)
    entries = [
        dataclasses.replace(entry, environment=with_known_kind(entry.environment)) for entry in environment.entries
    ]
    return MixtureConfig(environment.name, entries)


@own_arithmetic()
def _look_at(config: FactoryConfig) -> EnvironmentConfig:
    factory = Factory("environment", config.factory, config.options)
    made = factory.call(**({"seed": 0} if factory.takes("seed") else {}))
    if is_jax_environment(made):
        shared = {field.name: getattr(config, field.name) for field in dataclasses.fields(JaxFactoryConfig)}
        return JaxFactoryConfig(**(shared | {"name": "jax_factory"}))
    with factory.explained():
        as_dm_env(factory, made).close()
    return config
