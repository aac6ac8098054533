"""The registry of outer loops. The rest of podmeta does not depend on which one a job has."""

from collections.abc import Callable
from typing import Any

from podmeta.config.schema import (
    GROUPS,
    ActorCriticConfig,
    DistillationConfig,
    EvolutionConfig,
    OuterFactoryConfig,
    OuterLoopConfig,
)
from podmeta.factories import Factory
from podmeta.outer.actor_critic import make_actor_critic
from podmeta.outer.base import Entry, OuterLoop
from podmeta.outer.distillation import make_distillation
from podmeta.outer.evolution import make_evolution

MakeOuterLoop = Callable[[Any, tuple[Entry, ...], int, int], OuterLoop]
"""(config, entries, num_updates, first_update) -> the outer loop of one stage, as `make_evolution`."""


def _of_factory(config: OuterFactoryConfig, *stage: Any) -> OuterLoop:
    """The outer loop that the user's function makes.

    Raises:
      InputError: the function cannot be imported or called, or returns something else.
    """
    factory = Factory("outer", config.factory, config.options)
    outer_loop = factory.call(config, *stage)
    if not isinstance(outer_loop, OuterLoop):
        raise factory.wrong(outer_loop, "a podmeta.outer.base.OuterLoop")
    return outer_loop


_MAKERS: dict[type[OuterLoopConfig], MakeOuterLoop] = {
    EvolutionConfig: make_evolution,
    ActorCriticConfig: make_actor_critic,
    DistillationConfig: make_distillation,
    OuterFactoryConfig: _of_factory,
}


def register_outer_loop(name: str, config: type[OuterLoopConfig], make: MakeOuterLoop) -> None:
    """Adds an outer loop, for `outer=<name>`.

    Args:
      name: its name, which is also the default of the config's `name`.
      config: a dataclass of its keys.
      make: makes it from its config.
    """
    GROUPS["outer"][name] = config
    _MAKERS[config] = make


def make_outer_loop(
    config: OuterLoopConfig, entries: tuple[Entry, ...], num_updates: int, first_update: int
) -> OuterLoop:
    """The outer loop of a config, for one stage.

    Raises:
      InputError: the config does not suit the entries.
    """
    return _MAKERS[type(config)](config, entries, num_updates, first_update)
