"""Optimisers and schedules, by config."""

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from podmeta.config.schema import ScheduleConfig
from podmeta.errors import InputError


def make_schedule_factor(config: ScheduleConfig, num_updates: int) -> Callable[[Int[Array, ""]], Float[Array, ""]]:
    """The factor, update -> [], by which a schedule scales its rate. It starts at 1 and ends at `end_factor`.

    Args:
      config: the schedule.
      num_updates: updates that it runs over, unless its config says how many. It stays at its last factor after them.
    """
    num_steps = max((config.num_updates or num_updates) - 1, 1)  # from the first update to the last
    end_factor = config.end_factor
    shape = {
        "constant": lambda: optax.constant_schedule(1.0),
        "linear": lambda: optax.linear_schedule(1.0, end_factor, num_steps),
        "cosine": lambda: optax.cosine_decay_schedule(1.0, num_steps, end_factor),
        "exponential": lambda: optax.exponential_decay(1.0, num_steps, end_factor, end_value=end_factor),
    }[config.name]()
    if config.warmup_updates == 0:
        return lambda update: jnp.asarray(shape(update), jnp.float32)
    return lambda update: jnp.asarray(shape(update) * jnp.minimum(1.0, (update + 1) / config.warmup_updates))


def make_optimiser(
    name: str, arguments: dict[str, Any]
) -> Callable[[Float[Array, ""] | float], optax.GradientTransformation]:
    """The optax optimiser of that name, as a function of its learning rate, which may be traced.

    Raises:
      InputError: optax has no such optimiser, or it takes no such argument.
    """
    constructor = getattr(optax, name, None)
    if not callable(constructor) or "learning_rate" not in inspect.signature(constructor).parameters:
        raise InputError(
            f"outer.optimiser={name!r} is not an optax optimiser with a learning rate: try adam, sgd or rmsprop"
        )
    try:
        inspect.signature(constructor).bind(learning_rate=0.1, **arguments)
    except TypeError as error:
        raise InputError(f"outer.optimiser_arguments do not fit optax.{name}: {error}") from error
    return lambda learning_rate: constructor(learning_rate=learning_rate, **arguments)
