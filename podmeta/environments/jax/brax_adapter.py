"""Adapter to brax environments: bodies moved by continuous actions.

Start states are drawn at every reset, as in brax. `BraxTasks` say what is drawn once per lifetime.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import brax.envs
import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.jax.brax_tasks import BraxTasks
from podmeta.environments.jax.dtypes import cast, leaf_types
from podmeta.keys import make_key


class BraxState(NamedTuple):
    """The state of an episode.

    Attributes:
      body: brax's own state.
      steps: [] steps taken in this episode.
    """

    body: PyTree
    steps: Int[Array, ""]


class BraxEnvironment(Environment[PyTree, BraxState]):
    """A brax environment without brax's wrappers, which confuse time limits and terminations.

    brax says when an episode terminated (the body fell). podmeta's time limit truncates it; if both happen at once, it
    terminated. Action components lie in [-1, 1], as in all of brax.

    Args:
      id: brax's name for it.
      backend: the physics: generalized, spring, positional or mjx.
      episode_length: steps after which an episode is truncated; 0: never.
      tasks: what differs between lifetimes.
    """

    def __init__(self, id: str, backend: str, episode_length: int, tasks: BraxTasks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that brax is not maintained
            self._brax: Any = brax.envs.get_environment(id, backend=backend, **tasks.arguments)
        self._tasks = tasks
        self._episode_length = episode_length
        self._num_actions = int(self._brax.action_size)
        stepped = jax.eval_shape(self._first_step, make_key(0))
        self._body_types = leaf_types(stepped)
        self._observation_shape = stepped.obs.shape

    @property
    def num_tasks(self) -> float:
        """Unlimited, but for brax's own task and for the two directions."""
        return self._tasks.number

    def observation_spec(self) -> specs.Array:
        """[observation_size], unbounded: positions, angles and velocities."""
        return specs.Array(self._observation_shape, np.float32, name="observation")

    def action_spec(self) -> specs.BoundedArray:
        """[num_actions], each in [-1, 1]."""
        return specs.BoundedArray((self._num_actions,), np.float32, minimum=-1.0, maximum=1.0, name="action")

    def sample_task(self, key: PRNGKeyArray) -> PyTree:
        """Draws the task."""
        return self._tasks.draw(key, self._brax.sys)

    def reset(self, key: PRNGKeyArray, task: PyTree) -> tuple[BraxState, dm_env.TimeStep]:
        """Starts an episode from a start state of the environment's own."""
        with self._body_of(task):
            body = cast(self._brax.reset(key), self._body_types)
        return BraxState(body, jnp.int32(0)), restart(body.obs)

    def step(
        self, key: PRNGKeyArray, task: PyTree, state: BraxState, action: Action
    ) -> tuple[BraxState, dm_env.TimeStep]:
        """Advances the episode."""
        del key
        own_copy = jax.tree.map(lambda leaf: leaf, state.body)  # brax writes into the dictionaries of a state
        with self._body_of(task):
            body = cast(self._brax.step(own_copy, jnp.asarray(action, jnp.float32)), self._body_types)
        steps = state.steps + 1
        truncated = steps == self._episode_length
        reward = self._tasks.reward(task, body)
        return BraxState(body, steps), transition(reward, body.obs, body.done > 0, truncated)

    @contextlib.contextmanager
    def _body_of(self, task: PyTree) -> Iterator[None]:
        """Gives brax's environment the body of a task while it is traced, as brax's own wrappers do."""
        own = self._brax.sys
        self._brax.sys = self._tasks.system(task, own)
        try:
            yield
        finally:
            self._brax.sys = own

    def _first_step(self, key: PRNGKeyArray) -> Any:
        return self._brax.step(self._brax.reset(key), jnp.zeros(self._num_actions))
