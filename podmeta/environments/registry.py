"""The registry of JAX environments. Host environments are in host/registry.py."""

from collections.abc import Callable
from typing import Any

from podmeta.arithmetic import own_arithmetic
from podmeta.config.schema import (
    GROUPS,
    BanditConfig,
    BraxConfig,
    ContextualBanditConfig,
    DarkRoomConfig,
    EnvironmentConfig,
    GridWorldConfig,
    GymnaxConfig,
    HostEnvironmentConfig,
    JaxFactoryConfig,
    KeyToDoorConfig,
    LinearControlConfig,
    ObjectGridWorldConfig,
    OscillatorConfig,
    RandomMDPConfig,
    TabularMDPConfig,
    XLandConfig,
)
from podmeta.environments.base import AnyEnvironment
from podmeta.environments.imports import import_extra
from podmeta.environments.jax.bandit import Bandit
from podmeta.environments.jax.brax_tasks import make_brax_tasks
from podmeta.environments.jax.contextual_bandit import ContextualBandit
from podmeta.environments.jax.dark_room import DarkRoom
from podmeta.environments.jax.distractors import with_distractors
from podmeta.environments.jax.factory import jax_environment
from podmeta.environments.jax.grid_world import GridWorld
from podmeta.environments.jax.key_to_door import KeyToDoor
from podmeta.environments.jax.linear_control import LinearControl
from podmeta.environments.jax.object_grid_world import ObjectGridWorld
from podmeta.environments.jax.oscillator import Oscillator
from podmeta.environments.jax.random_mdp import RandomMDP
from podmeta.environments.jax.tabular_mdp import TabularMDP
from podmeta.environments.jax.transformed import transformed
from podmeta.errors import InputError
from podmeta.factories import Factory

MakeEnvironment = Callable[[Any], AnyEnvironment]
"""Makes an environment, without transforms, from its config. Raises an InputError if a key does not fit."""


def _gymnax(config: GymnaxConfig) -> AnyEnvironment:
    # Importing gymnax takes seconds (it brings matplotlib), which only its own jobs should wait for.
    from podmeta.environments.jax.gymnax_adapter import GymnaxEnvironment

    return GymnaxEnvironment(config.id, config.parameters, config.fixed_task, config.options)


def _xland(config: XLandConfig) -> AnyEnvironment:
    import_extra("xminigrid", "xland")
    from podmeta.environments.jax.xland_adapter import XLandEnvironment

    return XLandEnvironment(config)


def _brax(config: BraxConfig) -> AnyEnvironment:
    import_extra("brax", "brax")
    from podmeta.environments.jax.brax_adapter import BraxEnvironment

    tasks = make_brax_tasks(config.tasks, config.id, config.backend)
    return BraxEnvironment(config.id, config.backend, config.episode_length, tasks)


_MAKERS: dict[type[EnvironmentConfig], MakeEnvironment] = {
    BanditConfig: lambda config: Bandit(config.num_arms, config.distribution, config.rewards),
    ContextualBanditConfig: lambda config: ContextualBandit(config.num_contexts, config.num_actions),
    GridWorldConfig: GridWorld,
    ObjectGridWorldConfig: lambda config: ObjectGridWorld(config.mode, config.positions),
    DarkRoomConfig: lambda config: DarkRoom(config.height, config.width, config.episode_length),
    KeyToDoorConfig: lambda config: KeyToDoor(config.height, config.width, config.episode_length),
    TabularMDPConfig: lambda config: TabularMDP(config.num_states, config.num_actions, config.horizon),
    LinearControlConfig: lambda config: with_distractors(LinearControl(config), config.num_distractors),
    RandomMDPConfig: lambda config: with_distractors(RandomMDP(config), config.num_distractors),
    OscillatorConfig: lambda config: with_distractors(Oscillator(config), config.num_distractors),
    GymnaxConfig: _gymnax,
    XLandConfig: _xland,
    BraxConfig: _brax,
    JaxFactoryConfig: lambda config: jax_environment(Factory("environment", config.factory, config.options)),
}


def register_environment(name: str, config: type[EnvironmentConfig], make: MakeEnvironment) -> None:
    """Adds a JAX environment, for `environment=<name>`.

    Args:
      name: its name, which is also the default of the config's `name`.
      config: a dataclass of its keys.
      make: makes it from its config.
    """
    GROUPS["environment"][name] = config
    _MAKERS[config] = make


@own_arithmetic()
def make_environment(config: EnvironmentConfig) -> AnyEnvironment:
    """The environment that `config` describes, in the transforms that it asks for.

    Raises:
      InputError: there is no such environment, or a key of the config does not fit it.
    """
    if isinstance(config, HostEnvironmentConfig):
        raise InputError(
            f"environment.name={config.name} lives on the host, where no compiled program can step it: set "
            "architecture=sebulba"
        )
    if type(config) not in _MAKERS:
        raise InputError(f"environment.name: there is no environment {config.name!r}")
    return transformed(_MAKERS[type(config)](config), config)
