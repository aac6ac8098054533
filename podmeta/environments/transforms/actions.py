"""Transforms of actions."""

from typing import Any

import numpy as np
from dm_env import specs
from jaxtyping import Float, Int

from podmeta.environments.specs import EnvironmentSpecs, count_actions
from podmeta.environments.transforms.base import Action, RandomSource, Transform
from podmeta.environments.transforms.observations import num_permutations
from podmeta.errors import InputError


class PermutedActions(Transform):
    """Shuffles the actions: action i is action `drawn[i]` inside. A box's components are shuffled likewise.

    Raises:
      InputError: the environment takes a box of actions whose bounds differ between components, so that no
        bounds hold for every permutation.
    """

    stream = 1

    def __init__(self, inside: EnvironmentSpecs):
        super().__init__(inside)
        self._is_discrete = isinstance(inside.action, specs.DiscreteArray)
        if np.unique(inside.action.minimum).size > 1 or np.unique(inside.action.maximum).size > 1:
            raise InputError(
                "environment.permute_actions: the bounds of this environment's actions differ between "
                "components, which then cannot be shuffled; set environment.permute_actions=false"
            )

    @property
    def num_draws(self) -> float:
        """The permutations."""
        return num_permutations(count_actions(self.inside.action))

    def draw(self, random: RandomSource) -> Int[Any, "num_actions"]:
        """A permutation, uniform over all."""
        return random.permutation(count_actions(self.inside.action))

    def inner_action(self, drawn: Int[Any, "*batch num_actions"], action: Action) -> Action:
        """Looks up a discrete action, or moves the components of a continuous one."""
        namespace = drawn.__array_namespace__()
        if self._is_discrete:
            return namespace.take_along_axis(drawn, action[..., None], axis=-1)[..., 0]
        return namespace.take_along_axis(action, namespace.argsort(drawn, axis=-1), axis=-1)

    def by_outer_action(
        self, drawn: Int[Any, "*batch num_actions"], inside: Float[Any, "*batch num_actions"]
    ) -> Float[Any, "*batch num_actions"]:
        """Those inside, permuted like the actions."""
        return inside.__array_namespace__().take_along_axis(inside, drawn, axis=-1)
