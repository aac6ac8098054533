"""How sure a mean over tasks is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from podmeta.errors import InputError


class Interval(NamedTuple):
    """A mean over tasks and its 95% confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    num_tasks: int


def mean_interval(values: Float[np.ndarray, "num_tasks"]) -> Interval:
    """The mean of one value per task, with Student's t interval: mean ± t(0.975, n - 1) · s / √n.

    It covers the true mean 95% of the time where the values are independent and normal, or the tasks many. For two
    learners that met the same tasks, the interval of the differences is the narrower and the right one.

    Args:
      values: [num_tasks] one value per task.

    Returns:
      Mean and interval.

    Raises:
      InputError: fewer than two tasks, which say nothing of how far apart tasks are.
    """
    num_tasks = len(values)
    if num_tasks < 2:
        raise InputError(f"a confidence interval needs at least 2 tasks, not {num_tasks}: raise evaluation.num_tasks")
    mean, half_width = float(np.mean(values, dtype=np.float64)), float(t_half_width(values))
    return Interval(mean, mean - half_width, mean + half_width, num_tasks)


def t_half_width(values: Float[np.ndarray, "n *shape"]) -> Float[np.ndarray, "*shape"] | np.floating:
    """Half the width of Student's 95% t interval of a mean over the first axis: t(0.975, n - 1) · s / √n; n >= 2."""
    number = len(values)
    standard_error = np.std(values, axis=0, ddof=1, dtype=np.float64) / number**0.5
    return stdtrit(number - 1, 0.975) * standard_error
