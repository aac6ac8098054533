"""Converts states that earlier versions of podmeta saved to the current form."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.outer.value_statistics import ValueStatistics
from podmeta.storage.checkpoint_files import SavedArray

_LIFETIMES = ".lifetimes"  # the path of `TrainingState.lifetimes`


class _SumsOfValueTargets(NamedTuple):
    """`ValueStatistics` until the variance was computed about the mean.

    Attributes:
      mean: discounted sum of the means of gradient steps.
      mean_square: discounted sum of their mean squares.
      weight: the sum of the weights.
    """

    mean: Any
    mean_square: Any
    weight: Any


def without_ended_lifetimes(saved: list[SavedArray], target: list[SavedArray]) -> list[SavedArray]:
    """The saved arrays without lifetimes that no update continues.

    Earlier versions saved the lifetimes of actor-critic also where an update takes whole lifetimes.
    """
    wanted = {array.path for array in target}
    return [array for array in saved if array.path in wanted or not array.path.startswith(_LIFETIMES)]


def in_earlier_form(target: PyTree) -> PyTree:
    """The tree in which an earlier version has saved what is `target` today."""

    def earlier(node: Any) -> Any:
        return _SumsOfValueTargets(node.mean, node.variance, node.weight) if _is_statistics(node) else node

    return jax.tree.map(earlier, target, is_leaf=_is_statistics)


def in_todays_form(tree: PyTree) -> PyTree:
    """The tree of today, of NumPy arrays, from one in the earlier form."""

    def todays(node: Any) -> Any:
        if not _is_sums(node):
            return node
        weight = np.where(node.weight > 0, node.weight, 1)
        mean = node.mean / weight
        variance = np.maximum(node.mean_square / weight - mean**2, 0)
        return ValueStatistics(node.weight, *(a.astype(node.mean.dtype) for a in (mean, 0 * mean, variance)))

    return jax.tree.map(todays, tree, is_leaf=_is_sums)


def _is_statistics(node: Any) -> bool:
    return isinstance(node, ValueStatistics)


def _is_sums(node: Any) -> bool:
    return isinstance(node, _SumsOfValueTargets)
