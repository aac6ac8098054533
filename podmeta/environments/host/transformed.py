"""Batches of host environments in task transforms. Each row's draws follow from the seed of its lifetime."""

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, Float, Int, UInt32

from podmeta.config.schema import EnvironmentConfig
from podmeta.environments.host.base import Actions, HostEnvironment, HostWrapper
from podmeta.environments.specs import EnvironmentSpecs
from podmeta.environments.transforms.base import RandomSource, Transform
from podmeta.environments.transforms.order import transforms_of


def transformed(environment: HostEnvironment, config: EnvironmentConfig) -> HostEnvironment:
    """A batch in the transforms that a config asks for.

    Raises:
      InputError: a transform does not fit the environment.
    """
    for make in transforms_of(config):
        environment = TransformedBatch(environment, make(specs_of(environment)))
    return environment


def specs_of(environment: HostEnvironment) -> EnvironmentSpecs:
    """The specs of each environment of a batch."""
    return EnvironmentSpecs(environment.observation_spec(), environment.action_spec())


class TransformedBatch(HostWrapper):
    """A batch in one transform.

    Args:
      environment: the batch inside.
      transform: the transform, made for its specs.

    Attributes:
      drawn: [B, ...] the draws of the transform for the current lifetimes; empty if it draws nothing.
    """

    def __init__(self, environment: HostEnvironment, transform: Transform):
        super().__init__(environment)
        self._transform = transform
        draws = [np.asarray(transform.draw(GeneratorRandom(0, 0))) for _ in range(self.num_environments)]
        self.drawn = np.stack(draws)
        # Before and after the current time step, which `reset` shows again.
        self._memory_before = self._memory = transform.first_memory((self.num_environments,))

    def observation_spec(self) -> specs.Array:
        """What the transform makes of that inside."""
        return self._transform.outside.observation

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """What the transform makes of that inside."""
        return self._transform.outside.action

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Makes the draws of new lifetimes, and begins them in the inner batch."""
        if self.drawn.size:
            for row in np.flatnonzero(starts):
                self.drawn[row] = self._transform.draw(GeneratorRandom(int(seeds[row]), self._transform.stream))
        return self._shown(self._environment.reset(starts, seeds))

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Steps the batch inside."""
        self._memory_before = self._memory
        return self._shown(self._environment.step(self._transform.inner_action(self.drawn, actions)))

    def _shown(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """The outer time step for a `timestep` of the inner batch."""
        self._memory, timestep = self._transform.remember(self.drawn, self._memory_before, timestep)
        return timestep


class GeneratorRandom(RandomSource):
    """The random numbers of a transform, from a seed and the transform's stream.

    Args:
      seed: the seed of a lifetime.
      stream: the stream.
    """

    def __init__(self, seed: int, stream: int):
        self._generator = np.random.default_rng((seed, stream))

    def permutation(self, size: int) -> Int[np.ndarray, "size"]:
        """A permutation, uniform over all."""
        return self._generator.permutation(size).astype(np.int32)

    def signs(self, size: int) -> Float[np.ndarray, "size"]:
        """-1.0 or 1.0, equally likely."""
        return self._generator.choice(np.array([-1.0, 1.0], np.float32), size)

    def uniform(self, size: int) -> Float[np.ndarray, "size"]:
        """Numbers from [0, 1)."""
        return self._generator.random(size, np.float32)

    def normal(self, rows: int, columns: int) -> Float[np.ndarray, "rows columns"]:
        """A matrix of standard normal numbers."""
        return self._generator.standard_normal((rows, columns), np.float32)
