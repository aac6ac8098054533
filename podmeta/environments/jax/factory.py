"""JAX environments that the user's function makes."""

from typing import Any

from podmeta.environments.base import AnyEnvironment, Environment
from podmeta.factories import Factory

_OF_GYMNAX = ("reset_env", "step_env", "action_space", "observation_space", "default_params")
"""The methods that identify gymnax's interface."""


def is_jax_environment(made: object) -> bool:
    """Whether it is an environment of podmeta's or gymnax's interface; gymnax's may come with its parameters."""
    return isinstance(made, Environment) or all(hasattr(_split(made)[0], name) for name in _OF_GYMNAX)


def jax_environment(factory: Factory) -> AnyEnvironment:
    """The environment that a function returns: podmeta's, or gymnax's, by itself or as (environment, parameters).

    Raises:
      InputError: the function fails, or returns something else.
    """
    made = factory.call(**({"seed": 0} if factory.takes("seed") else {}))
    if isinstance(made, Environment):
        return made
    if not is_jax_environment(made):
        raise factory.wrong(made, "an environment of podmeta's or gymnax's interface")
    # Importing gymnax takes seconds (it brings matplotlib), which only its own jobs should wait for.
    from podmeta.environments.jax.gymnax_adapter import AdaptedGymnax

    environment, parameters = _split(made)
    with factory.explained():
        return AdaptedGymnax(f"environment.factory={factory.name}", environment, parameters)


def _split(made: Any) -> tuple[Any, Any]:
    """An environment of gymnax's interface and its parameters, where it is one."""
    if isinstance(made, tuple) and len(made) == 2:
        return made
    return made, getattr(made, "default_params", None)
