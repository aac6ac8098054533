"""Transforms of actions."""

import itertools

import numpy as np
from dm_env import specs
from jaxtyping import Float, Int

from podmeta.environments.specs import EnvironmentSpecs, count_actions
from podmeta.environments.transforms.base import Action, Draw, RandomSource, Transform
from podmeta.environments.transforms.observations import num_permutations, num_signs
from podmeta.errors import InputError
from podmeta.value_types import AnyArray

_MOST_COMBINATIONS = 1000  # of the values of a box's components


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

    def draw(self, random: RandomSource) -> Int[AnyArray, "num_actions"]:
        """A permutation, uniform over all."""
        return random.permutation(count_actions(self.inside.action))

    def inner_action(self, drawn: Int[AnyArray, "*batch num_actions"], action: Action) -> Action:
        """Looks up a discrete action, or moves the components of a continuous one."""
        namespace = drawn.__array_namespace__()
        if self._is_discrete:
            return namespace.take_along_axis(drawn, action[..., None], axis=-1)[..., 0]
        return namespace.take_along_axis(action, namespace.argsort(drawn, axis=-1), axis=-1)

    def by_outer_action(
        self, drawn: Int[AnyArray, "*batch num_actions"], inside: Float[AnyArray, "*batch num_actions"]
    ) -> Float[AnyArray, "*batch num_actions"]:
        """Those inside, permuted like the actions."""
        return inside.__array_namespace__().take_along_axis(inside, drawn, axis=-1)


class DiscretisedActions(Transform):
    """Makes a box of actions discrete: every combination of evenly spaced values of its components is an action.

    Args:
      inside: the specs of the environment inside.
      number: how many values each component has; both bounds are among them.

    Raises:
      InputError: actions are discrete already or have no finite bounds, there is one value, or there are too many
        combinations.
    """

    def __init__(self, inside: EnvironmentSpecs, number: int):
        super().__init__(inside)
        spec, cure = inside.action, "set environment.discrete_actions=0"
        if isinstance(spec, specs.DiscreteArray):
            raise InputError(f"environment.discrete_actions: this environment's actions are discrete already; {cure}")
        low, high = (np.broadcast_to(end, spec.shape).ravel() for end in (spec.minimum, spec.maximum))
        if not np.isfinite([*low, *high]).all():
            raise InputError(f"environment.discrete_actions: actions have no finite bounds here; {cure}")
        if number < 2:
            raise InputError(f"environment.discrete_actions={number} must be at least 2, or 0")
        if number ** len(low) > _MOST_COMBINATIONS:
            raise InputError(
                f"environment.discrete_actions={number} makes {number ** len(low):,} combinations of {len(low)} "
                f"components, more than {_MOST_COMBINATIONS:,}; {cure}"
            )
        values = itertools.product(*np.linspace(low, high, number, axis=1))
        self._values = np.array(list(values), np.float32)

    @property
    def outside(self) -> EnvironmentSpecs:
        """With discrete actions."""
        return self.inside._replace(action=specs.DiscreteArray(len(self._values), np.int32, "action"))

    def inner_action(self, drawn: Draw, action: Action) -> Action:
        """The values of a discrete action."""
        del drawn
        namespace = action.__array_namespace__()
        return namespace.take(namespace.asarray(self._values), action, axis=0)


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

    def draw(self, random: RandomSource) -> Float[AnyArray, "num_actions"]:
        """The sign of each component."""
        return random.signs(count_actions(self.inside.action))

    def inner_action(self, drawn: Float[AnyArray, "*batch num_actions"], action: Action) -> Action:
        """Multiplies the action by its signs."""
        return action * drawn
