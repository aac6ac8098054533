"""Gymnasium environments, one at a time.

Each is stepped separately, without gymnasium's vector environments and their three ways to reset. So no episode's last
observation is lost, and one environment can start a lifetime with a seed without affecting the others.
"""

from collections.abc import Mapping
from typing import Any

import dm_env

from podmeta.environments.contract import in_words
from podmeta.environments.host.single import SingleEnvironment, close_quietly
from podmeta.environments.imports import import_extra, near
from podmeta.errors import InputError
from podmeta.exits import ExitsRaise
from podmeta.factories import import_own_module
from podmeta.value_types import Json


def gymnasium_environment(id: str, options: Mapping[str, Json]) -> SingleEnvironment:
    """Any registered gymnasium environment, seeded anew for every lifetime.

    Args:
      id: its gymnasium id. `my_module:MyEnvironment-v0` imports my_module, which registers it; `ALE/…` needs no module.
      options: arguments of `gymnasium.make`.

    Raises:
      InputError: gymnasium is not installed, or an argument does not fit.
    """
    environment = _make(id, options)
    # Only now: it imports gymnasium.
    from podmeta.environments.bridge.from_gymnasium import GymnasiumAsDmEnv

    def reseeded(environment: Any, seed: int) -> dm_env.Environment:
        environment.reseed(seed)
        return environment

    try:
        adapted = GymnasiumAsDmEnv(environment, seed=0, name=f"gymnasium {id}")
    except BaseException:
        close_quietly(environment)
        raise
    return SingleEnvironment(adapted, reseeded)


def _make(id: str, options: Mapping[str, Json]) -> Any:
    gymnasium = import_extra("gymnasium", "gymnasium")
    if id.startswith("ALE/"):
        import_extra("ale_py", "gymnasium")  # importing it registers its environments
    module, _, name = id.rpartition(":")
    try:
        if module:
            with ExitsRaise():
                import_own_module(module)
        if name not in gymnasium.registry:
            raise InputError(
                f"environment.id: gymnasium has no {name!r}. {near(name, gymnasium.registry)} Write an environment "
                "that a module of your own registers as my_module:MyEnvironment-v0"
            )
        with ExitsRaise():
            return gymnasium.make(name, disable_env_checker=True, **options)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever an environment may raise
        raise InputError(
            f"environment.id: gymnasium cannot make {id!r} with the options {dict(options)}: {in_words(error)}"
        ) from error
