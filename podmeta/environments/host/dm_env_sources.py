"""Sources of single `dm_env.Environment`s: bsuite, dm_control, and the user's factories."""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import dm_env

from podmeta.environments.host.single import SingleEnvironment, close_quietly
from podmeta.environments.imports import import_extra, near
from podmeta.errors import InputError
from podmeta.factories import Factory
from podmeta.value_types import Json


def bsuite_environment(id: str) -> SingleEnvironment:
    """A bsuite environment. If it takes a seed, it is made anew for every lifetime.

    What a bsuite id fixes, such as the `mapping_seed` of its bandits, stays fixed.

    Args:
      id: the experiment and the number of its setting, such as `catch/0`.

    Raises:
      InputError: bsuite is not installed, the id does not exist, or its data cannot be loaded.
    """
    bsuite = import_extra("bsuite.bsuite", "bsuite")
    sweep = import_extra("bsuite.sweep", "bsuite")
    if id not in sweep.SETTINGS:
        raise InputError(f"environment.id: bsuite has no {id!r}. {near(id, sweep.SETTINGS)}")
    experiment, _ = bsuite.unpack_bsuite_id(id)
    load = bsuite.EXPERIMENT_NAME_TO_ENVIRONMENT[experiment]
    try:
        return _made_by(load, sweep.SETTINGS[id], _takes_seed(load))
    except OSError as error:  # the environments on MNIST download it
        raise InputError(
            f"environment.id: bsuite could not load the data of {id!r} ({error}); choose another environment, or make "
            "it once on this machine while it is online"
        ) from error


def dm_control_environment(id: str) -> SingleEnvironment:
    """A task of the DeepMind Control Suite, seeded anew for every lifetime.

    Args:
      id: the domain and the task, such as `cartpole/swingup`.

    Raises:
      InputError: dm_control is not installed, or there is no such task.
    """
    suite = import_extra("dm_control.suite", "dm_control")
    tasks = {f"{domain}/{task}": (domain, task) for domain, task in suite.ALL_TASKS}
    if id not in tasks:
        raise InputError(f"environment.id: dm_control has no {id!r}. {near(id, tasks)}")

    def reseeded(environment: Any, seed: int) -> dm_env.Environment:
        environment.task.random.seed(seed)
        return environment

    return SingleEnvironment(suite.load(*tasks[id]), reseeded)


def factory_environment(name: str, options: Mapping[str, Json]) -> SingleEnvironment:
    """The dm_env or Gymnasium environment that the user's function returns.

    Args:
      name: `my_module:make_env`. Where the function has a parameter `seed`, it is called for every lifetime.
      options: its further arguments.

    Raises:
      InputError: it cannot be imported or called, fails when it is, or returns something else.
    """
    factory = Factory("environment", name, options)
    made = factory.call(**({"seed": 0} if factory.takes("seed") else {}))
    try:
        environment = as_dm_env(factory, made)
        with factory.explained():  # what is wrong with these is the user's, too
            environment.observation_spec()
            environment.action_spec()
    except BaseException:
        close_quietly(made)
        raise

    def of_next_lifetime(environment: Any, seed: int) -> dm_env.Environment:
        if factory.takes("seed"):
            environment.close()
            return as_dm_env(factory, factory.make(seed=seed), seed)
        if environment is not made:  # Gymnasium's, in the adapter
            environment.reseed(seed)
        return environment

    return SingleEnvironment(environment, of_next_lifetime)


def as_dm_env(factory: Factory, made: object, seed: int = 0) -> dm_env.Environment:
    """The result of a factory as a dm_env environment; a Gymnasium one gets an adapter.

    Raises:
      InputError: it is neither.
    """
    if isinstance(made, dm_env.Environment):
        return made
    if "gymnasium" in sys.modules and isinstance(made, sys.modules["gymnasium"].Env):
        from podmeta.environments.bridge.from_gymnasium import GymnasiumAsDmEnv  # only now: it imports gymnasium

        return GymnasiumAsDmEnv(made, seed=seed, name=f"factory {factory.name}")
    raise factory.wrong(made, "a dm_env.Environment, a gymnasium.Env, or a JAX environment of gymnax or podmeta")


def _made_by(
    make: Callable[..., dm_env.Environment], options: Mapping[str, Json], takes_seed: bool
) -> SingleEnvironment:
    """The environment of `make`, made anew for every lifetime with its seed, or once."""
    if not takes_seed:
        return SingleEnvironment(make(**options), lambda environment, seed: environment)

    def remade(environment: dm_env.Environment, seed: int) -> dm_env.Environment:
        environment.close()
        return make(**{**options, "seed": seed})

    return SingleEnvironment(make(**{**options, "seed": 0}), remade)


def _takes_seed(make: Callable[..., Any]) -> bool:
    return "seed" in inspect.signature(make).parameters
