"""Optimisers and schedules, by config."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from podmeta.arithmetic import own_types
from podmeta.config.schema import ScheduleConfig
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.value_types import Json


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
    name: str, arguments: dict[str, Json]
) -> Callable[[Float[Array, ""] | float], optax.GradientTransformation]:
    """The optax optimiser with this name, as a function of its learning rate, which may be traced.

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


@own_types()
def check_optimiser(name: str, arguments: dict[str, Json], meta_params: MetaParams) -> None:
    """Checks that an optimiser works on the shapes of θ and its gradient, before training starts.

    Args:
      name: its name in optax.
      arguments: its arguments.
      meta_params: θ, or its shapes and types.

    Raises:
      InputError: there is no such optimiser, it does not accept these arguments, or it needs more than a gradient.
    """
    if (error := _failure(name, arguments, meta_params)) is None:
        return
    if arguments and _failure(name, {}, meta_params) is None:
        raise InputError(f"outer.optimiser_arguments={arguments} do not fit optax.{name}: {error}")
    raise InputError(
        f"outer.optimiser={name} does not work here, because it gets only a gradient: {error}. Try adam, sgd or rmsprop"
    )


def _failure(name: str, arguments: dict[str, Json], meta_params: MetaParams) -> str | None:
    """The first line of the error in a step of an optimiser, if there is one. Nothing is computed."""

    def step(learning_rate: Float[Array, ""], meta_params: MetaParams) -> tuple[MetaParams, Any, MetaParams, Any]:
        optimiser = constructor(learning_rate)
        state = optimiser.init(meta_params)
        changes, next_state = optimiser.update(meta_params, state, meta_params)
        return meta_params, state, changes, next_state

    constructor = make_optimiser(name, arguments)
    try:
        meta_params, state, changes, next_state = jax.eval_shape(
            step, jax.ShapeDtypeStruct((), jnp.float32), meta_params
        )
    except Exception as error:  # optax raises a different one for every way in which arguments do not fit
        return (str(error) or type(error).__name__).strip().splitlines()[0].removesuffix(".")
    if (changes, next_state) != (meta_params, state):
        return "a step changes the shapes of θ or of the optimiser's state"
    return None
