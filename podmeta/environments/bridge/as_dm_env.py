"""A functional environment as a stateful `dm_env.Environment` on the host, in NumPy."""

import dm_env
import jax
import numpy as np
from dm_env import specs
from jaxtyping import PRNGKeyArray

from podmeta.arithmetic import own_arithmetic
from podmeta.environments.base import AnyEnvironment
from podmeta.keys import make_key
from podmeta.seeds import checked_seed
from podmeta.value_types import AnyArray


class DmEnvAdapter(dm_env.Environment):
    """Plays a functional environment through dm_env's interface, one compiled call per env step.

    Every episode is played on the task of the lifetime, which is drawn on construction and by `new_lifetime`.

    Args:
      environment: the functional environment.
      seed: the seed of all tasks and episodes, from 0 to 2^32 - 1.

    Raises:
      InputError: the seed is none of these.
    """

    @own_arithmetic()
    def __init__(self, environment: AnyEnvironment, seed: int):
        self._environment = environment
        self._key = make_key(checked_seed(seed))
        self._sample_task = jax.jit(environment.sample_task)
        self._reset = jax.jit(environment.reset)
        self._step = jax.jit(environment.step)
        self.new_lifetime()

    @own_arithmetic()
    def new_lifetime(self) -> None:
        """Draws a new task, and drops the current episode: the next step starts one."""
        self._task = self._sample_task(self._next_key())
        self._episode_under_way = False

    @own_arithmetic()
    def reset(self) -> dm_env.TimeStep:
        """Starts an episode on the task of this lifetime."""
        self._state, timestep = self._reset(self._next_key(), self._task)
        self._episode_under_way = True
        return dm_env.restart(np.asarray(timestep.observation))

    @own_arithmetic()
    def step(self, action: AnyArray) -> dm_env.TimeStep:
        """Advances the episode, or starts one (ignoring `action`) where none is under way."""
        if not self._episode_under_way:
            return self.reset()
        self._state, timestep = self._step(self._next_key(), self._task, self._state, action)
        step_type = dm_env.StepType(int(timestep.step_type))
        self._episode_under_way = not step_type.last()
        return dm_env.TimeStep(
            step_type, float(timestep.reward), float(timestep.discount), np.asarray(timestep.observation)
        )

    def observation_spec(self) -> specs.Array:
        """That of the environment."""
        return self._environment.observation_spec()

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """That of the environment."""
        return self._environment.action_spec()

    def _next_key(self) -> PRNGKeyArray:
        self._key, key = jax.random.split(self._key)
        return key
