"""From an environment config to a batch of host environments."""

import contextlib
import functools
import importlib.util
import os
from typing import TypeGuard

from podmeta.config.schema import (
    BsuiteConfig,
    DmControlConfig,
    EnvpoolConfig,
    FactoryConfig,
    GymnasiumConfig,
    HostEnvironmentConfig,
    PythonEnvironmentConfig,
)
from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.checked import Checked
from podmeta.environments.host.dm_env_sources import (
    bsuite_environment,
    dm_control_environment,
    factory_environment,
)
from podmeta.environments.host.envpool_adapter import EnvpoolEnvironments
from podmeta.environments.host.gymnasium_adapter import gymnasium_environment
from podmeta.environments.host.inline import make_inline
from podmeta.environments.host.patience import TIMEOUT_S, patiently
from podmeta.environments.host.processes import WorkerEnvironments
from podmeta.environments.host.single import SingleEnvironment, close_quietly
from podmeta.environments.host.transformed import transformed
from podmeta.errors import InputError


def lives_on_host(config: object) -> TypeGuard[HostEnvironmentConfig]:
    """Whether this is a host environment, which `make_host_environment` makes."""
    return isinstance(config, HostEnvironmentConfig)


def make_host_environment(config: HostEnvironmentConfig, num_environments: int) -> HostEnvironment:
    """A batch of the environments that `config` describes, checked, in the transforms that it asks for.

    Args:
      config: the config of one of the host environments.
      num_environments: B.

    Returns:
      The batch. It holds threads or processes until it is closed.

    Raises:
      InputError: an extra is not installed, or a key of the config does not fit the environment.
    """
    environment = _bare_environment(config, num_environments)
    try:
        return transformed(Checked(environment), config)
    except InputError:
        close_quietly(environment)
        raise


def patient_host_environment(
    config: HostEnvironmentConfig, num_environments: int, timeout_s: float = TIMEOUT_S
) -> contextlib.AbstractContextManager[HostEnvironment]:
    """As `make_host_environment`, for a `with` block, with a timeout: an environment that does not answer is abandoned.

    Args:
      config: the config of one of the host environments.
      num_environments: B.
      timeout_s: limit for making, each answer, and closing.

    Raises:
      InputError: as `make_host_environment`.
      PodmetaError: an environment did not answer in time.
    """
    name = f"{config.name} {getattr(config, 'id', getattr(config, 'factory', ''))}"
    return patiently(name, lambda: make_host_environment(config, num_environments), timeout_s)


def _bare_environment(config: HostEnvironmentConfig, num_environments: int) -> HostEnvironment:
    match config:
        case EnvpoolConfig(else_gymnasium=True) if importlib.util.find_spec("envpool") is None:
            return _bare_environment(GymnasiumConfig(id=config.id), num_environments)
        case EnvpoolConfig():
            return EnvpoolEnvironments(config.id, config.observation, config.options, num_environments)
        case GymnasiumConfig(id=id) | BsuiteConfig(id=id) | DmControlConfig(id=id) | FactoryConfig(factory=id):
            name = f"{config.name} {id}"
            make = functools.partial(make_single_environment, config)
            if config.vectorisation == "processes":
                num_processes = config.num_processes or os.cpu_count() or 1
                return WorkerEnvironments(name, make, num_environments, num_processes)
            return make_inline(name, make, num_environments)
    raise InputError(f"environment.name: there is no environment {config.name!r} on the host")


def make_single_environment(config: PythonEnvironmentConfig) -> SingleEnvironment:
    """A single Python environment, without transforms. Worker processes call this.

    Raises:
      InputError: an extra is not installed, or a key of the config does not fit the environment.
    """
    match config:
        case GymnasiumConfig():
            return gymnasium_environment(config.id, config.options)
        case BsuiteConfig():
            return bsuite_environment(config.id)
        case DmControlConfig():
            return dm_control_environment(config.id)
        case FactoryConfig():
            return factory_environment(config.factory, config.options)
    raise InputError(f"environment.name: there is no environment {config.name!r} on the host")
