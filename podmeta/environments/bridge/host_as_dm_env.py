"""A batch of one host environment as a `dm_env.Environment`."""

import dm_env
import numpy as np
from dm_env import specs

from podmeta.environments.host.base import HostEnvironment
from podmeta.seeds import checked_seed
from podmeta.value_types import AnyArray


class HostAsDmEnv(dm_env.Environment):
    """One host environment, in its transforms, with dm_env's interface.

    It has one lifetime, which the first reset begins.

    Args:
      environment: a batch of one, which `close` closes.
      seed: of the lifetime, its task included; from 0 to 2^32 - 1.

    Raises:
      InputError: the seed is none of these.
    """

    def __init__(self, environment: HostEnvironment, seed: int) -> None:
        self._environment = environment
        self._seed = checked_seed(seed)
        self._begun = False

    def reset(self) -> dm_env.TimeStep:
        """Starts the lifetime. Episodes after the first are started by `step`, after a LAST time step.

        Raises:
          ValueError: the lifetime has already begun. A host environment starts an episode early only with a new
            lifetime.
        """
        if self._begun:
            raise ValueError("the lifetime has begun: step on, which starts an episode where one has ended")
        self._begun = True
        return _single(self._environment.reset(np.ones(1, bool), np.array([self._seed], np.uint32)))

    def step(self, action: AnyArray) -> dm_env.TimeStep:
        """Advances the episode, or starts one (ignoring `action`) where it has ended; the lifetime, before all."""
        if not self._begun:
            return self.reset()
        return _single(self._environment.step(np.asarray(action)[None]))

    def observation_spec(self) -> specs.Array:
        """That of the environment."""
        return self._environment.observation_spec()

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """That of the environment."""
        return self._environment.action_spec()

    def close(self) -> None:
        """Closes the environment."""
        self._environment.close()


def _single(batch: dm_env.TimeStep) -> dm_env.TimeStep:
    """The time step of a batch of one. FIRST time steps have no reward or discount, as in dm_env."""
    step_type, observation = dm_env.StepType(int(batch.step_type[0])), batch.observation[0]
    if step_type.first():
        return dm_env.restart(observation)
    return dm_env.TimeStep(step_type, float(batch.reward[0]), float(batch.discount[0]), observation)
