"""Confidence intervals of means, and the probability that one group of runs is better than another."""

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


class Estimate(NamedTuple):
    """A statistic of runs and its 95% interval, whose ends are NaN where the runs are too few for one."""

    value: float
    low: float
    high: float


def mean_of_runs(scores: Float[np.ndarray, "num_runs"]) -> Estimate:
    """The mean of one score per run, with Student's t interval; without an interval for one run."""
    mean = float(np.mean(scores))
    half_width = float(t_half_width(scores)) if len(scores) > 1 else np.nan
    return Estimate(mean, mean - half_width, mean + half_width)


def probability_of_improvement(
    one: Float[np.ndarray, "num_runs"], other: Float[np.ndarray, "num_other_runs"]
) -> Estimate:
    """How probable it is that a run of one group scores more than a run of the other; a tie counts half.

    The estimate is the Mann-Whitney statistic over its largest value. The interval is that of Newcombe 2006,
    "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2", Statistics in
    Medicine 25:559-573, method 5: all θ with |θ̂ - θ| <= c √V(θ) for

        V(θ) = θ (1 - θ) (1 + (N - 1) ((1 - θ) / (2 - θ) + θ / (1 + θ))) / (m n),    N = (m + n) / 2

    It stays wide where all runs of one group are better, unlike a bootstrap. c is Student's t(0.975, m + n - 2): with
    the normal quantile, intervals of three runs against three cover the truth as little as 90% of the time.

    Args:
      one: m scores.
      other: n scores.

    Returns:
      The probability and its interval; without an interval where a group has one run.
    """
    differences = one[:, None] - other[None, :]
    value = float(np.mean((differences > 0) + 0.5 * (differences == 0)))
    num_one, num_other = differences.shape
    if min(num_one, num_other) < 2:
        return Estimate(value, np.nan, np.nan)
    theta = np.linspace(0.0, 1.0, 10_001)
    number = (num_one + num_other) / 2
    spread = 1 + (number - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    variance = theta * (1 - theta) * spread / (num_one * num_other)
    critical = stdtrit(num_one + num_other - 2, 0.975)
    inside = theta[np.abs(value - theta) <= critical * np.sqrt(variance) + 1e-12]
    return Estimate(value, float(inside[0]), float(inside[-1]))
