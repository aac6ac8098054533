"""Sources of `dm_env.Environment`s, one at a time: bsuite, dm_control, and factories of the user's own."""

import inspect
import itertools
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import dm_env

from podmeta.environments.contract import in_words
from podmeta.environments.host.single import SingleEnvironment
from podmeta.environments.imports import import_extra, import_own_module, near
from podmeta.errors import InputError
from podmeta.value_types import Json


def bsuite_environment(id: str) -> SingleEnvironment:
    """A bsuite environment, made anew for every lifetime with its seed, where it takes one.

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
    """A task of the control suite, whose random numbers are seeded anew for every lifetime.

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


def factory_environment(factory: str, options: Mapping[str, Json]) -> SingleEnvironment:
    """The environment that a function of the user's returns.

    Args:
      factory: `my_module:make_env`. Where the function has a parameter `seed`, it is called for every lifetime.
      options: its further arguments.

    Raises:
      InputError: it cannot be imported or called, fails when it is, or returns something else than a
        `dm_env.Environment`.
    """
    module, _, name = factory.partition(":")
    if not module or not name:
        raise InputError(f"environment.factory={factory!r} names no function: write it as my_module:make_env")
    imported = _import_module(module, factory)
    if not hasattr(imported, name):
        raise InputError(f"environment.factory={factory}: {module} has no {name}")
    make = getattr(imported, name)
    if not callable(make):
        raise InputError(f"environment.factory={factory} is a {type(make).__name__}, which cannot be called")
    try:
        inspect.signature(make).bind(**{**options, **({"seed": 0} if _takes_seed(make) else {})})
    except TypeError as error:
        raise InputError(f"environment.options: {factory} cannot be called with {dict(options)}: {error}") from error

    def make_checked(**arguments: Any) -> dm_env.Environment:
        environment = make(**arguments)
        if not isinstance(environment, dm_env.Environment):
            raise InputError(
                f"environment.factory={factory} returned a {type(environment).__name__}, and must return a "
                "dm_env.Environment"
            )
        return environment

    try:
        environment = _made_by(make_checked, options, _takes_seed(make))
        environment.observation_spec()  # what is wrong with these is the user's, too
        environment.action_spec()
        return environment
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's function may raise
        raise InputError(f"environment.factory={factory} failed: {_told(error, module)}") from error


def _import_module(module: str, factory: str) -> ModuleType:
    """The module of a factory."""
    try:
        return import_own_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's module may raise
        parents = [*itertools.accumulate(module.split("."), lambda parent, child: f"{parent}.{child}")]
        if isinstance(error, ModuleNotFoundError) and error.name in parents:
            raise InputError(
                f"environment.factory={factory}: {module} cannot be imported ({error}): run podmeta in the folder "
                "that holds it, or add that to PYTHONPATH"
            ) from error
        raise InputError(
            f"environment.factory={factory}: {module} failed when it was imported: {_told(error, module)}"
        ) from error


def _told(error: BaseException, module: str) -> str:
    """An error of the user's, and where in their module it came about."""
    what = in_words(error)
    if isinstance(error, SyntaxError):  # says where
        return what
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(frame, line) for frame, line in frames if frame.f_globals.get("__name__") == module]
    frame, line = (own or frames)[-1]
    return f"{what} ({frame.f_code.co_filename}, line {line})"


def _made_by(
    make: Callable[..., dm_env.Environment], options: Mapping[str, Json], takes_seed: bool
) -> SingleEnvironment:
    """What `make` makes: anew for every lifetime with its seed, or once and for all."""
    if not takes_seed:
        return SingleEnvironment(make(**options), lambda environment, seed: environment)

    def remade(environment: dm_env.Environment, seed: int) -> dm_env.Environment:
        environment.close()
        return make(**{**options, "seed": seed})

    return SingleEnvironment(make(**{**options, "seed": 0}), remade)


def _takes_seed(make: Callable[..., Any]) -> bool:
    return "seed" in inspect.signature(make).parameters
