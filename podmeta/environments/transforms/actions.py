"""Transforms of actions."""

from typing import Any

import numpy as np
from dm_env import specs
from jaxtyping import Float, Int

from podmeta.environments.specs import EnvironmentSpecs, count_actions
from podmeta.environments.transforms.base import Action, RandomSource, Transform
from podmeta.environments.transforms.observations import num_permutations, num_signs
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


class FlippedActionSigns(Transform):
    """Flips the sign of each component of a box of actions or not, equally likely.

    Raises:
      InputError: actions are discrete, or their bounds are not symmetric, so that no bounds hold for either sign.
    """

    stream = 5

    def __init__(self, inside: EnvironmentSpecs):
        super().__init__(inside)
        if isinstance(inside.action, specs.DiscreteArray):
            raise InputError(
                "environment.flip_action_signs: the actions of this environment are discrete and have no sign; set "
                "environment.permute_actions=true instead"
            )
        if np.any(inside.action.minimum != -inside.action.maximum):
            raise InputError(
                "environment.flip_action_signs: the bounds of this environment's actions are not symmetric, so their "
                "signs cannot be flipped; set environment.flip_action_signs=false"
            )

    @property
    def num_draws(self) -> float:
        """Either sign for every component."""
        return num_signs(count_actions(self.inside.action))

    def draw(self, random: RandomSource) -> Float[Any, "num_actions"]:
        """The sign of each component."""
        return random.signs(count_actions(self.inside.action))

    def inner_action(self, drawn: Float[Any, "*batch num_actions"], action: Action) -> Action:
        """Multiplies the action by its signs."""
        return action * drawn
