"""Transforms of observations. They work on the flattened components of an observation of any shape."""

import math
from collections.abc import Sequence

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Float, Int

from podmeta.environments.specs import EnvironmentSpecs, num_components
from podmeta.environments.transforms.base import Draw, RandomSource, Transform, flat_observation, real_spec
from podmeta.errors import InputError
from podmeta.value_types import AnyArray

_MOST_BITS = 64  # of what is counted: beyond it, tasks are too many to count
LARGEST_PROJECTION = 1024  # components of an observation: its matrix then has 4 MiB per lifetime


class PermutedObservations(Transform):
    """Shuffles the observation components: component i shows what is component `drawn[i]` inside."""

    stream = 0

    @property
    def outside(self) -> EnvironmentSpecs:
        """Any component may appear anywhere, so all have the widest bounds of any."""
        spec = self.inside.observation
        if isinstance(spec, specs.BoundedArray):
            spec = spec.replace(minimum=np.min(spec.minimum), maximum=np.max(spec.maximum))
        return self.inside._replace(observation=spec)

    @property
    def num_draws(self) -> float:
        """The permutations."""
        return num_permutations(num_components(self.inside.observation))

    def draw(self, random: RandomSource) -> Int[AnyArray, "observation_size"]:
        """A permutation, uniform over all."""
        return random.permutation(num_components(self.inside.observation))

    def outer_timestep(
        self, drawn: Int[AnyArray, "*batch observation_size"], timestep: dm_env.TimeStep
    ) -> dm_env.TimeStep:
        """Permutes the observation."""
        namespace = timestep.observation.__array_namespace__()
        permuted = namespace.take_along_axis(flat_observation(timestep), drawn, axis=-1)
        return timestep._replace(observation=permuted.reshape(timestep.observation.shape))


class FlippedObservationSigns(Transform):
    """Flips the sign of each observation component or not: a factor of -1 or 1, equally likely."""

    stream = 2

    @property
    def outside(self) -> EnvironmentSpecs:
        """Either sign may appear, so the bounds are symmetric."""
        spec = real_spec(self.inside.observation)
        if isinstance(spec, specs.BoundedArray):
            bound = np.maximum(np.abs(spec.minimum), np.abs(spec.maximum))
            spec = spec.replace(minimum=-bound, maximum=bound)
        return self.inside._replace(observation=spec)

    @property
    def num_draws(self) -> float:
        """Either sign for every component."""
        return num_signs(num_components(self.inside.observation))

    def draw(self, random: RandomSource) -> Float[AnyArray, "observation_size"]:
        """The sign of each component."""
        return random.signs(num_components(self.inside.observation))

    def outer_timestep(
        self, drawn: Float[AnyArray, "*batch observation_size"], timestep: dm_env.TimeStep
    ) -> dm_env.TimeStep:
        """Multiplies the observation by its signs."""
        return timestep._replace(observation=timestep.observation * drawn.reshape(timestep.observation.shape))


class ScaledObservations(Transform):
    """Multiplies the observation components by constant factors.

    Args:
      inside: the specs of the environment inside.
      factors: one factor per (flattened) observation component, or one for all.

    Raises:
      InputError: the number of factors is wrong, or one of them is not finite.
    """

    def __init__(self, inside: EnvironmentSpecs, factors: Sequence[float]):
        super().__init__(inside)
        size = num_components(inside.observation)
        if len(factors) not in (1, size):
            raise InputError(
                f"environment.observation_scale has {len(factors)} factors, but an observation has {size} "
                f"components: give {size} factors, or one for all"
            )
        if not np.all(np.isfinite(factors)):
            raise InputError(f"environment.observation_scale is {list(factors)}: every factor must be finite")
        self._factors = np.broadcast_to(np.asarray(factors, np.float32), size).reshape(inside.observation.shape)

    @property
    def outside(self) -> EnvironmentSpecs:
        """The bounds times the factors; a negative factor swaps them."""
        spec = real_spec(self.inside.observation)
        if isinstance(spec, specs.BoundedArray):
            # Beyond float32 is infinite; infinite times 0 is put right below.
            with np.errstate(over="ignore", invalid="ignore"):
                ends = np.stack([spec.minimum * self._factors, spec.maximum * self._factors])
            ends = np.where(self._factors == 0, np.float32(0), ends)
            spec = spec.replace(minimum=ends.min(axis=0), maximum=ends.max(axis=0))
        return self.inside._replace(observation=spec)

    def outer_timestep(self, drawn: Draw, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Multiplies the observation by the factors."""
        del drawn
        return timestep._replace(observation=timestep.observation * self._factors)


class ProjectedObservations(Transform):
    """Multiplies the flattened observation by a random square matrix: every component shows a mixture of all.

    Args:
      inside: the specs of the environment inside.
      kind: "orthonormal", uniform over all such matrices, which keeps lengths and angles; or "gaussian", whose elements
        are independent with variance 1 / (number of components), which keeps squared lengths on average only.

    Raises:
      InputError: an observation has more than `LARGEST_PROJECTION` components.
    """

    stream = 3

    def __init__(self, inside: EnvironmentSpecs, kind: str):
        super().__init__(inside)
        self._size, self._kind = num_components(inside.observation), kind
        if self._size > LARGEST_PROJECTION:
            raise InputError(
                f"environment.project_observations={kind}: an observation has {self._size:,} components, and a "
                f"projection takes at most {LARGEST_PROJECTION:,}: set environment.project_observations=none"
            )

    @property
    def outside(self) -> EnvironmentSpecs:
        """As many real numbers, without bounds."""
        spec = self.inside.observation
        return self.inside._replace(observation=specs.Array(spec.shape, np.float32, spec.name))

    @property
    def num_draws(self) -> float:
        """Too many to count, but for a single component."""
        return 2 if self._kind == "orthonormal" and self._size == 1 else math.inf

    def draw(self, random: RandomSource) -> Float[AnyArray, "observation_size observation_size"]:
        """The matrix."""
        matrix = random.normal(self._size, self._size)
        if self._kind == "gaussian":
            return matrix / np.float32(self._size**0.5)
        # Q is uniform where R's diagonal is positive (Mezzadri, Notices of the AMS 54, 2007).
        namespace = matrix.__array_namespace__()
        q, r = namespace.linalg.qr(matrix)
        return q * namespace.sign(namespace.diagonal(r))

    def outer_timestep(
        self, drawn: Float[AnyArray, "*batch observation_size observation_size"], timestep: dm_env.TimeStep
    ) -> dm_env.TimeStep:
        """Multiplies the observation by the matrix."""
        projected = (drawn @ flat_observation(timestep).astype(np.float32)[..., None])[..., 0]
        return timestep._replace(observation=projected.reshape(timestep.observation.shape))


class DuplicatedObservations(Transform):
    """Shows every observation component several times: the flat observation, one copy after the other.

    Args:
      inside: the specs of the environment inside.
      copies: how many.
    """

    def __init__(self, inside: EnvironmentSpecs, copies: int):
        super().__init__(inside)
        self._copies = copies

    @property
    def outside(self) -> EnvironmentSpecs:
        """As many times the components."""
        spec = self.inside.observation
        shape = (self._copies * num_components(spec),)
        if not isinstance(spec, specs.BoundedArray):
            return self.inside._replace(observation=specs.Array(shape, spec.dtype, spec.name))
        minimum, maximum = (
            np.tile(np.broadcast_to(bound, spec.shape).ravel(), self._copies) for bound in (spec.minimum, spec.maximum)
        )
        return self.inside._replace(observation=specs.BoundedArray(shape, spec.dtype, minimum, maximum, spec.name))

    def outer_timestep(self, drawn: Draw, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """Repeats the observation."""
        del drawn
        namespace = timestep.observation.__array_namespace__()
        return timestep._replace(observation=namespace.concat([flat_observation(timestep)] * self._copies, axis=-1))


def num_permutations(size: int) -> float:
    """How many permutations of `size` things there are; `math.inf` if they are too many to count."""
    return math.factorial(size) if size <= 20 else math.inf


def num_signs(size: int) -> float:
    """How many ways there are to give `size` numbers a sign; `math.inf` if they are too many to count."""
    return 2**size if size <= _MOST_BITS else math.inf
