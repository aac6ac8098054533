"""envpool pools: a whole batch steps in C++ threads, without Python."""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, UInt32

from podmeta.environments.bridge.arrays import ActionDecoder, ObservationEncoder
from podmeta.environments.bridge.foreign_specs import ObservationSpec
from podmeta.environments.host.base import Actions, CompiledStep, HostEnvironment
from podmeta.environments.imports import import_extra, near
from podmeta.errors import InputError
from podmeta.value_types import Json

_FIRST, _MID, _LAST = (np.int32(step_type) for step_type in dm_env.StepType)
_OWN_OPTIONS = {"num_envs", "batch_size", "seed", "env_seed", "base_path", "gym_reset_return_info", "max_num_players"}


class EnvpoolEnvironments(HostEnvironment):
    """A pool of one kind of envpool environment, stepped synchronously.

    It uses envpool's Gymnasium interface, because its dm_env interface does not distinguish truncation from
    termination. If both happen in one env step, envpool reports a truncation. Bounds of observations are those that
    envpool declares; they are wrong for its copies of dm_control, whose components have none.

    A pool is seeded when it is made. If all environments start together, the pool is made anew from their seeds, so
    that their episodes depend on nothing else. If only some start, they continue with their random state.

    Args:
      id: the envpool id.
      observation: which of its arrays is the observation: `obs`, or another such as `ram`.
      options: envpool's options that differ from its defaults.
      num_environments: B.

    Raises:
      InputError: envpool is not installed, or an argument does not fit.
    """

    def __init__(self, id: str, observation: str, options: Mapping[str, Json], num_environments: int):
        super().__init__(f"envpool {id}", num_environments)
        self._envpool = import_extra("envpool", "envpool")
        # Only now: it imports gymnasium, which comes with envpool.
        from podmeta.environments.bridge.spaces import action_spec_of, observation_spec_of

        self._id, self._observation = id, observation
        spec = _make_spec(self._envpool, id, options)
        self._options = dict(options)
        if observation == "obs":
            with _without_warnings_of_bounds():
                observation_spec = observation_spec_of(spec.gymnasium_observation_space, self.name)
        else:
            observation_spec = _further_array(spec, observation, self.name)
        self._encode = ObservationEncoder(observation_spec, self.name)
        action_spec = action_spec_of(spec.gymnasium_action_space, self.name)
        if isinstance(action_spec, specs.DiscreteArray):
            action_spec = action_spec.replace(dtype=np.int32)  # which is what a pool takes, whatever its space says
        self._decode = ActionDecoder(action_spec, self.name)
        self._batch = (num_environments,)
        self._is_compilable = self._encode.takes_one_array and _fits_programs(spec)

    def observation_spec(self) -> specs.Array:
        """The pool's own, encoded."""
        return self._encode.spec

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """The pool's own, flat."""
        return self._decode.spec

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Makes a new pool if all environments start; otherwise resets those that do."""
        if starts.all():
            self._pool = self._envpool.make_gymnasium(
                self._id,
                num_envs=self.num_environments,
                seed=seeds.view(np.int32),  # of all 32 bits, as envpool takes them
                **self._options,
            )
            with _without_warnings_of_bounds():
                observations, info = self._pool.reset()
            self._timestep = dm_env.TimeStep(
                step_type=np.full(self._batch, _FIRST),
                reward=np.zeros(self._batch, np.float32),
                discount=np.ones(self._batch, np.float32),
                observation=self._encoded(observations, info, self.num_environments),
            )
        elif starts.any():
            self._reset_some(np.flatnonzero(starts).astype(np.int32))
        return self._timestep

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Steps the pool."""
        self._timestep = self._next(self._timestep, self._pool.step(self._decode(actions, self._batch)))
        return self._timestep

    def compiled_step(self) -> CompiledStep | None:
        """Steps the pool from inside a compiled program. None if envpool cannot do that here, or not exactly."""
        if not self._is_compilable:
            return None
        handle, _, _, step = self._pool.xla()

        def compiled(timestep: dm_env.TimeStep, actions: Any) -> dm_env.TimeStep:
            _, stepped = step(handle, self._decode(actions, self._batch))
            return self._next(timestep, stepped)

        def has_stepped(num_steps: int, timestep: dm_env.TimeStep) -> None:
            self._timestep = timestep

        return CompiledStep(compiled, has_stepped)

    def close(self) -> None:
        """Does nothing: the pool's threads end with the last reference to it."""

    def _next(self, before: dm_env.TimeStep, stepped: tuple[Any, ...]) -> dm_env.TimeStep:
        """The time step after `before`, of what the pool gave; for arrays of NumPy and those in a program."""
        observations, rewards, terminated, truncated, info = stepped
        starting = before.step_type == _LAST
        return dm_env.TimeStep(
            # In few calls of NumPy, for each takes longer than an env step of CartPole. LAST is MID + 1, FIRST MID - 1.
            step_type=(terminated | truncated).astype(np.int32) - starting + _MID,
            reward=rewards * ~starting,
            discount=np.float32(1.0) - terminated,
            observation=self._encoded(observations, info, self.num_environments),
        )

    def _reset_some(self, indices: np.ndarray) -> None:
        observations, info = self._pool.reset(indices)
        order = info["env_id"]
        fresh = dm_env.TimeStep(_FIRST, 0.0, 1.0, self._encoded(observations, info, len(indices)))
        # A copy, for the arrays of the time step before belong to the caller.
        arrays = [np.array(array) for array in self._timestep]
        for array, values in zip(arrays, fresh, strict=True):
            array[order] = values
        self._timestep = dm_env.TimeStep(*arrays)

    def _encoded(self, observations: Any, info: Mapping[str, Any], number: int) -> Any:
        return self._encode(observations if self._observation == "obs" else info[self._observation], (number,))


@contextlib.contextmanager
def _without_warnings_of_bounds() -> Iterator[None]:
    """Suppresses Gymnasium's warnings about envpool's bounds in double precision, which users cannot change."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered by casting")
        yield


def _make_spec(envpool: Any, id: str, options: Mapping[str, Json]) -> Any:
    """envpool's description of an environment with these options, each of which it must have."""
    known = envpool.list_all_envs()
    if id not in known:
        raise InputError(f"environment.id: envpool has no {id!r}. {near(id, known)}")
    try:
        defaults = envpool.make_spec(id).config._asdict()
        for name, value in options.items():
            _check_option(id, name, value, defaults)
        spec = envpool.make_spec(id, **options)
    except (ImportError, RuntimeError, ValueError) as error:
        raise InputError(
            f"environment.id: envpool cannot make {id} with the options {dict(options)}: {error}"
        ) from error
    if spec.config.max_num_players != 1:
        raise InputError(
            f"environment.id: {id} is for several players; podmeta supports single players only, so choose another"
        )
    return spec


def _fits_programs(spec: Any) -> bool:
    """Whether compiled programs can step a pool: on Linux, if no number has 8 bytes, which JAX would round to 4."""
    arrays = [*spec.state_array_spec.values(), *spec.action_array_spec.values()]
    widest = max(np.dtype(array.dtype).itemsize for array in arrays)
    return sys.platform == "linux" and widest <= 4


def _check_option(id: str, name: str, value: Any, defaults: Mapping[str, Any]) -> None:
    if name in _OWN_OPTIONS:
        raise InputError(f"environment.options.{name} is set by podmeta: remove it")
    if name not in defaults:
        options = [option for option in defaults if option not in _OWN_OPTIONS]
        raise InputError(
            f"environment.options.{name}: {id} has no such option. {near(name, options)} It has {', '.join(options)}"
        )
    default = defaults[name]
    fits = type(value) is type(default) or (isinstance(default, float) and type(value) is int)
    if not fits:
        raise InputError(
            f"environment.options.{name} is {value!r}, but {id} needs a value like its default, {default!r}"
        )


def _further_array(spec: Any, observation: str, name: str) -> ObservationSpec:
    """The spec of an array that the pool returns besides its observations."""
    arrays = {
        key: array
        for key, array in spec.observation_spec()._asdict().items()
        if isinstance(array, specs.Array) and array.shape and key != "obs"
    }
    if observation not in arrays:
        raise InputError(f"environment.observation={observation}: {name} provides {', '.join(['obs', *arrays])}")
    return arrays[observation]
