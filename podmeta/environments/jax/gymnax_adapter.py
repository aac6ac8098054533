"""Adapter to gymnax environments.

The draws of an episode (a start state, a goal) are made at its reset, as in gymnax, so the task is empty. Transforms
make distributions of tasks. gymnax's environments for meta-learning draw a task in every episode; with `fixed_task`, it
is drawn once per lifetime.
"""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import dm_env
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from gymnax.environments import spaces
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.imports import near
from podmeta.environments.jax.dtypes import cast, leaf_types
from podmeta.errors import InputError
from podmeta.keys import make_key
from podmeta.value_types import Json

GymnaxState: TypeAlias = PyTree  # the gymnax environment's own pytree of arrays


TASK_FIELDS = {"MetaMaze-misc": "goal", "PointRobot-misc": "goal", "Reacher-misc": "goal_xy"}
"""gymnax's environments for meta-learning, each with the field of its state that is the task."""


class AdaptedGymnax(Environment[Array | tuple[()], GymnaxState]):
    """An environment of gymnax's interface, with a discrete or box action space, and discrete or box observations.

    Bounds are those that gymnax declares, which a few of its environments exceed (MemoryChain-bsuite shows -1 but
    declares [0, 2]). Box actions are flattened to [num_actions]. Actions must lie in the bounds of `action_spec`; the
    effect of others depends on the gymnax environment.

    Args:
      name: what messages call it.
      environment: the environment.
      parameters: its gymnax parameters.
      task_field: the field of its state that is drawn as the task of an episode, and here holds for a lifetime; ""
        for none.

    Raises:
      InputError: observations or actions are of another kind of space.
    """

    def __init__(self, name: str, environment: Any, parameters: Any, task_field: str = ""):
        self._gymnax, self._parameters = environment, parameters
        self._action_space = _supported(name, "actions", environment.action_space(parameters))
        self._observation_space = _supported(name, "observations", environment.observation_space(parameters))
        self._task_field = task_field
        self._state_types = leaf_types(jax.eval_shape(self._first_step, make_key(0)))

    @property
    def num_tasks(self) -> float:
        """Every lifetime has the same task, unless it is drawn: one of the goals of a maze, or any point."""
        if not self._task_field:
            return 1
        return len(self._gymnax.available_goals) if hasattr(self._gymnax, "available_goals") else math.inf

    def observation_spec(self) -> specs.BoundedArray:
        """The shape of a box observation, or one component per value of a discrete one."""
        space = self._observation_space
        if isinstance(space, spaces.Discrete):
            return specs.BoundedArray((space.n,), np.float32, minimum=0.0, maximum=1.0, name="observation")
        return _bounded_array(space, space.shape, "observation")

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """The actions of a discrete space, or the flattened bounds of a box."""
        space = self._action_space
        if isinstance(space, spaces.Discrete):
            return specs.DiscreteArray(space.n, np.int32, name="action")
        return _bounded_array(space, (int(np.prod(space.shape)),), "action")

    def sample_task(self, key: PRNGKeyArray) -> Array | tuple[()]:
        """Draws the task as gymnax draws that of an episode, or nothing: every lifetime then has the same task."""
        if not self._task_field:
            return ()
        return getattr(self._gymnax.reset_env(key, self._parameters)[1], self._task_field)

    def reset(self, key: PRNGKeyArray, task: Array | tuple[()]) -> tuple[GymnaxState, dm_env.TimeStep]:
        """Starts an episode from a start state of the environment's own."""
        observation, state = self._gymnax.reset_env(key, self._parameters)
        if self._task_field:
            state = state.replace(**{self._task_field: task})
            observation = self._gymnax.get_obs(state, self._parameters)
        return cast(state, self._state_types), restart(self._observed(observation))

    def step(
        self, key: PRNGKeyArray, task: Array | tuple[()], state: GymnaxState, action: Action
    ) -> tuple[GymnaxState, dm_env.TimeStep]:
        """Advances the episode. If gymnax both terminates and truncates it, it terminated."""
        del task
        action = jnp.asarray(action, self._action_space.dtype).reshape(self._action_space.shape)
        observation, state, reward, terminated, _ = self._gymnax.step_env(key, state, action, self._parameters)
        truncated = self._gymnax.is_truncated(state, self._parameters)
        timestep = transition(
            jnp.asarray(reward, jnp.float32).reshape(()),
            self._observed(observation),
            jnp.asarray(terminated, bool).reshape(()),
            jnp.asarray(truncated, bool).reshape(()),
        )
        return cast(state, self._state_types), timestep

    def _first_step(self, key: PRNGKeyArray) -> GymnaxState:
        _, state = self._gymnax.reset_env(key, self._parameters)
        action = jnp.zeros(self._action_space.shape, self._action_space.dtype)
        return jax.tree.map(jnp.asarray, self._gymnax.step_env(key, state, action, self._parameters)[1])

    def _observed(self, observation: Array) -> Float[Array, "..."]:
        space = self._observation_space
        if isinstance(space, spaces.Discrete):
            return jax.nn.one_hot(jnp.reshape(observation, ()), space.n)
        return jnp.asarray(observation, jnp.float32).reshape(space.shape)


class GymnaxEnvironment(AdaptedGymnax):
    """An environment that is registered in gymnax.

    Args:
      id: the gymnax id, such as `CartPole-v1`.
      parameters: the fields of the environment's gymnax parameters that differ from its defaults.
      fixed_task: whether what gymnax draws as the task of an episode holds for a lifetime.
      options: arguments of `gymnax.make`, such as `size` of DeepSea-bsuite.

    Raises:
      InputError: an unknown id, parameter or option, a parameter of the wrong type, an environment whose data cannot
        be loaded, one with observations or actions of another kind of space, or a fixed task where gymnax draws none.
    """

    def __init__(
        self,
        id: str,
        parameters: Mapping[str, Json],
        fixed_task: bool = False,
        options: Mapping[str, Json] = MappingProxyType({}),
    ):
        environment, defaults = _make(id, options)
        if fixed_task and id not in TASK_FIELDS:
            raise InputError(
                f"environment.fixed_task: {id} draws no task in an episode, as {', '.join(TASK_FIELDS)} do; set "
                "environment.fixed_task=false"
            )
        task_field = TASK_FIELDS[id] if fixed_task else ""
        super().__init__(f"environment.id: {id}", environment, _with_parameters(id, defaults, parameters), task_field)


def _make(id: str, options: Mapping[str, Json]) -> tuple[Any, Any]:
    """The gymnax environment of that id and with these options, and its default parameters."""
    if id not in gymnax.registered_envs:
        known = gymnax.registered_envs
        raise InputError(f"environment.id: gymnax has no {id!r}. {near(id, known, _it_knows(known))}")
    try:
        return gymnax.make(id, **options)
    except (TypeError, ValueError) as error:  # an option that it does not have, or takes no such value of
        raise InputError(f"environment.options: gymnax cannot make {id!r} with {dict(options)}: {error}") from error
    except OSError as error:  # some environments download data when they are made
        raise InputError(
            f"environment.id: gymnax could not load the data of {id!r} ({error}); "
            "choose another environment, or make it once on this machine while it is online"
        ) from error


def _with_parameters(id: str, defaults: Any, changes: Mapping[str, Any]) -> Any:
    """`defaults` with `changes`, each of which must name a parameter and be of its type."""
    names = [field.name for field in dataclasses.fields(defaults)]
    converted = {}
    for name, value in changes.items():
        if name not in names:
            raise InputError(
                f"environment.parameters.{name}: {id} has no such parameter. {near(name, names, _it_knows(names))}"
            )
        default = getattr(defaults, name)
        wanted, given = np.asarray(default), np.asarray(value)
        if given.shape != wanted.shape or not np.can_cast(given.dtype, wanted.dtype, "same_kind"):
            raise InputError(
                f"environment.parameters.{name} is {value!r}, but {id} needs a value like its default, {default!r}"
            )
        # A Python number stays one: it is a constant of the compiled program, and may even be a shape.
        given = given.astype(wanted.dtype)
        converted[name] = given.item() if given.ndim == 0 else jnp.asarray(given)
    return dataclasses.replace(defaults, **converted)


def _supported(name: str, what: str, space: Any) -> spaces.Discrete | spaces.Box:
    if isinstance(space, spaces.Discrete | spaces.Box):
        return space
    raise InputError(
        f"{name} has {what} of a {type(space).__name__} space; podmeta runs environments of gymnax's interface with "
        "Discrete or Box ones, so choose another"
    )


def _bounded_array(space: spaces.Box, shape: tuple[int, ...], name: str) -> specs.BoundedArray:
    low = np.broadcast_to(np.asarray(space.low), space.shape).reshape(shape)
    high = np.broadcast_to(np.asarray(space.high), space.shape).reshape(shape)
    return specs.BoundedArray(shape, np.float32, minimum=low, maximum=high, name=name)


def _it_knows(names: list[str]) -> str:
    return f"It knows {', '.join(names)}."
