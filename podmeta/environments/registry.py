"""From an environment config to the environment."""

from typing import Any

from podmeta.arithmetic import own_arithmetic
from podmeta.config.schema import (
    BanditConfig,
    BraxConfig,
    ContextualBanditConfig,
    EnvironmentConfig,
    GridWorldConfig,
    GymnaxConfig,
    HostEnvironmentConfig,
    ObjectGridWorldConfig,
    TabularMDPConfig,
    XLandConfig,
)
from podmeta.environments.base import Environment
from podmeta.environments.imports import import_extra
from podmeta.environments.jax.bandit import BernoulliBandit
from podmeta.environments.jax.contextual_bandit import ContextualBandit
from podmeta.environments.jax.grid_world import GridWorld
from podmeta.environments.jax.object_grid_world import ObjectGridWorld
from podmeta.environments.jax.tabular_mdp import TabularMDP
from podmeta.environments.jax.transformed import transformed
from podmeta.errors import InputError


@own_arithmetic()
def make_environment(config: EnvironmentConfig) -> Environment[Any, Any]:
    """The environment that `config` describes, in the transforms that it asks for.

    Args:
      config: the config of one of the environments.

    Returns:
      The environment.

    Raises:
      InputError: a key of the config does not fit the environment.
    """
    return transformed(_bare_environment(config), config)


def _bare_environment(config: EnvironmentConfig) -> Environment[Any, Any]:
    match config:
        case BanditConfig():
            return BernoulliBandit(config.num_arms, config.distribution)
        case ContextualBanditConfig():
            return ContextualBandit(config.num_contexts, config.num_actions)
        case GridWorldConfig():
            return GridWorld(config)
        case ObjectGridWorldConfig():
            return ObjectGridWorld(config.mode, config.positions)
        case TabularMDPConfig():
            return TabularMDP(config.num_states, config.num_actions, config.horizon)
        case GymnaxConfig():
            # Importing gymnax takes seconds (it brings matplotlib), which only its own jobs should wait for.
            from podmeta.environments.jax.gymnax_adapter import GymnaxEnvironment

            return GymnaxEnvironment(config.id, config.parameters)
        case XLandConfig():
            import_extra("xminigrid", "xland")
            from podmeta.environments.jax.xland_adapter import XLandEnvironment

            return XLandEnvironment(config)
        case BraxConfig():
            import_extra("brax", "brax")
            from podmeta.environments.jax.brax_adapter import BraxEnvironment

            return BraxEnvironment(config.id, config.backend, config.episode_length)
        case HostEnvironmentConfig():
            raise InputError(
                f"environment.name={config.name} lives on the host, where no compiled program can step it: set "
                "architecture=sebulba"
            )
    raise InputError(f"environment.name: there is no environment {config.name!r}")
