"""The task wrappers of podmeta/environments/wrappers.py and padding.py, over batches of host environments.

Given the same draws they make the same time steps. Each row's draw follows from the seed of its lifetime.
"""

import abc
from collections.abc import Sequence

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, Float, Int, UInt32

from podmeta.environments.host.base import Actions, HostEnvironment, HostWrapper
from podmeta.environments.wrapper_specs import (
    check_padding,
    check_permutable_actions,
    count_actions,
    duplicated_observation_spec,
    flipped_observation_spec,
    num_components,
    observation_factors,
    padded_action_spec,
    padded_observation_spec,
    permuted_observation_spec,
    scaled_observation_spec,
)


class DrawingWrapper(HostWrapper, abc.ABC):
    """A wrapper that draws a part of each row's task.

    Attributes:
      stream: a number that sets its draws apart from those of other wrappers of the same seed.
      drawn: [B, ...] what it drew for the lifetimes under way.
    """

    stream: int

    def __init__(self, environment: HostEnvironment):
        super().__init__(environment)
        draws = [self.draw(np.random.default_rng(0)) for _ in range(self.num_environments)]
        self.drawn = np.stack(draws)

    @abc.abstractmethod
    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Draws this wrapper's part of one task."""

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Draws for the lifetimes that begin, and begins them inside."""
        for row in np.flatnonzero(starts):
            self.drawn[row] = self.draw(np.random.default_rng((int(seeds[row]), self.stream)))
        return super().reset(starts, seeds)


class PermutedObservations(DrawingWrapper):
    """Shuffles the observation components: component i shows what is component `drawn[row, i]` inside."""

    stream = 0

    def observation_spec(self) -> specs.Array:
        """Any component may appear anywhere, so all have the widest bounds of any."""
        return permuted_observation_spec(super().observation_spec())

    def draw(self, generator: np.random.Generator) -> Int[np.ndarray, "observation_size"]:
        """A permutation, uniform over all."""
        return generator.permutation(num_components(self.observation_spec()))

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Permutes the observations."""
        observation = timestep.observation
        permuted = np.take_along_axis(observation.reshape(len(observation), -1), self.drawn, axis=1)
        return timestep._replace(observation=permuted.reshape(observation.shape))


class PermutedActions(DrawingWrapper):
    """Shuffles the actions: action i is action `drawn[row, i]` inside. A box's components are shuffled likewise.

    Raises:
      InputError: the environment takes a box of actions whose bounds differ between components.
    """

    stream = 1

    def __init__(self, environment: HostEnvironment):
        check_permutable_actions(environment.action_spec())
        super().__init__(environment)
        self._is_discrete = isinstance(environment.action_spec(), specs.DiscreteArray)

    def draw(self, generator: np.random.Generator) -> Int[np.ndarray, "num_actions"]:
        """A permutation, uniform over all."""
        return generator.permutation(count_actions(self.action_spec()))

    def inner_actions(self, actions: Actions) -> Actions:
        """Looks up discrete actions, or moves the components of continuous ones."""
        if self._is_discrete:
            return self.drawn[np.arange(self.num_environments), actions]
        inside = np.empty_like(actions)
        np.put_along_axis(inside, self.drawn, actions, axis=1)
        return inside


class FlippedObservationSigns(DrawingWrapper):
    """Flips the sign of each observation component or not: a factor of -1 or 1, equally likely."""

    stream = 2

    def observation_spec(self) -> specs.Array:
        """Either sign may appear, so the bounds are symmetric."""
        return flipped_observation_spec(_real(super().observation_spec()))

    def draw(self, generator: np.random.Generator) -> Float[np.ndarray, "..."]:
        """The sign of each component, in the shape of an observation."""
        return generator.choice(np.array([-1.0, 1.0], np.float32), self.observation_spec().shape)

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Multiplies the observations by their signs."""
        return timestep._replace(observation=timestep.observation * self.drawn)


class ScaledObservations(HostWrapper):
    """Multiplies the observation components by constant factors.

    Args:
      environment: the batch inside.
      factors: one factor per (flattened) observation component, or one for all.

    Raises:
      InputError: the number of factors is wrong, or one of them is not finite.
    """

    def __init__(self, environment: HostEnvironment, factors: Sequence[float]):
        super().__init__(environment)
        self._factors = observation_factors(environment.observation_spec(), factors)

    def observation_spec(self) -> specs.Array:
        """The bounds times the factors; a negative factor swaps them."""
        return scaled_observation_spec(_real(super().observation_spec()), self._factors)

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Multiplies the observations by the factors."""
        return timestep._replace(observation=timestep.observation * self._factors)


class DuplicatedObservations(HostWrapper):
    """Shows every observation component several times: the flat observations, one copy after the other.

    Args:
      environment: the batch inside.
      copies: how many.
    """

    def __init__(self, environment: HostEnvironment, copies: int):
        super().__init__(environment)
        self._copies = copies

    def observation_spec(self) -> specs.Array:
        """As many times the components."""
        return duplicated_observation_spec(super().observation_spec(), self._copies)

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Repeats the observations."""
        flat = timestep.observation.reshape(self.num_environments, -1)
        return timestep._replace(observation=np.tile(flat, (1, self._copies)))


class FailureReward(HostWrapper):
    """Pays -1 when an episode terminates, 0 otherwise, instead of its reward. Truncation is no failure."""

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Replaces the rewards."""
        failed = (timestep.step_type == dm_env.StepType.LAST) & (timestep.discount == 0)
        return timestep._replace(reward=-failed.astype(np.float32))


class Padded(HostWrapper):
    """Adds observation components that are always zero, and actions that do what other actions do.

    Observations are flattened first. Of n discrete actions, action i does what action i modulo n does inside. Further
    components of a box do nothing.

    Args:
      environment: the batch inside.
      observation_size: components of an observation; 0 leaves it as it is.
      num_actions: actions, or components of a box; 0 leaves them as they are.

    Raises:
      InputError: the environment has more components or actions than that.
    """

    def __init__(self, environment: HostEnvironment, observation_size: int, num_actions: int):
        super().__init__(environment)
        check_padding(environment.observation_spec(), environment.action_spec(), observation_size, num_actions)
        self._observation_size, self._num_actions = observation_size, num_actions
        self._is_discrete = isinstance(environment.action_spec(), specs.DiscreteArray)
        self._num_inner_actions = count_actions(environment.action_spec())

    def observation_spec(self) -> specs.Array:
        """That inside, flat, and then zeros."""
        return padded_observation_spec(super().observation_spec(), self._observation_size)

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """That inside, with more actions. Further components of a box go from -1 to 1."""
        return padded_action_spec(super().action_spec(), self._num_actions)

    def inner_actions(self, actions: Actions) -> Int[np.ndarray, "B"] | Float[np.ndarray, "B num_inner_actions"]:
        """The discrete actions modulo the number inside; the first components of a box."""
        return actions % self._num_inner_actions if self._is_discrete else actions[:, : self._num_inner_actions]

    def outer_timestep(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Flattens and pads the observations."""
        if not self._observation_size:
            return timestep
        flat = timestep.observation.reshape(self.num_environments, -1)
        surplus = self._observation_size - flat.shape[1]
        return timestep._replace(observation=np.pad(flat, ((0, 0), (0, surplus))))


def _real(spec: specs.Array) -> specs.Array:
    """A spec of bytes as one of real numbers, which is what they become when they are multiplied."""
    if spec.dtype != np.uint8:
        return spec
    ends = (spec.minimum.astype(np.float32), spec.maximum.astype(np.float32))
    return specs.BoundedArray(spec.shape, np.float32, *ends, spec.name)
