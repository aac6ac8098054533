"""JAX environments as host environments, so that what Sebulba does can be held against what Anakin does."""

import jax
import jax.numpy as jnp
import numpy as np

from podmeta.environments.base import step_or_reset
from podmeta.environments.host.base import HostEnvironment


class JaxOnHost(HostEnvironment):
    """A batch of one JAX environment. The randomness of a lifetime comes from its seed, and from the step in it."""

    def __init__(self, environment, num_environments):
        super().__init__("jax on host", num_environments)
        self._environment = environment
        self._living = None

        @jax.jit
        def reset(starts, seeds, living):
            born = jax.vmap(self._born)(seeds)
            if living is None:
                return born
            return jax.tree.map(lambda a, b: jnp.where(starts.reshape(-1, *(1,) * (a.ndim - 1)), a, b), born, living)

        self._reset = reset
        self._step = jax.jit(jax.vmap(self._stepped))

    def _born(self, seed):
        task_key, reset_key = jax.random.split(jax.random.key(seed))
        task = self._environment.sample_task(task_key)
        return seed, jnp.zeros((), jnp.int32), task, *self._environment.reset(reset_key, task)

    def _stepped(self, living, action):
        seed, num_steps, task, state, timestep = living
        key = self.step_key(seed, num_steps)
        return seed, num_steps + 1, task, *step_or_reset(self._environment, key, task, state, timestep, action)

    @staticmethod
    def step_key(seed, num_steps):
        """The key of env step `num_steps` of a lifetime."""
        return jax.random.fold_in(jax.random.key(seed), num_steps)

    def observation_spec(self):
        return self._environment.observation_spec()

    def action_spec(self):
        return self._environment.action_spec()

    def reset(self, starts, seeds):
        self._living = self._reset(starts, seeds, self._living)
        return jax.tree.map(np.array, self._living[-1])

    def step(self, actions):
        self._living = self._step(self._living, actions)
        return jax.tree.map(np.array, self._living[-1])

    def close(self):
        self._living = None
