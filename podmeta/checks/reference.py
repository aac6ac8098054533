"""The values that updates reach on a CPU, which ship with podmeta, and how far others may be from them.

    python -m podmeta.checks.make_reference

makes them. Another device rounds differently, so that sooner or later a member or lifetime chooses another action. The
tolerances allow for some such choices, and not for another algorithm.
"""

import importlib.resources
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from podmeta.architectures.session import MetricsByUpdate
from podmeta.checks.base import Figure
from podmeta.config.compose import compose_job
from podmeta.config.schema import JobConfig
from podmeta.value_types import Json

REFERENCE = "reference.json"
NUM_UPDATES = 10

JOBS: Mapping[str, list[str]] = {
    "evolution": [
        "experiment=bandit",
        "outer.population_size=64",
        "outer.lifetimes_per_member=4",
        "environment.lifetime_length=50",
    ],
    "actor_critic": [
        "learner=recurrent",
        "environment=bandit",
        "outer=actor_critic",
        "outer.num_lifetimes=64",
        "outer.unroll_length=50",
        "outer.td_lambda=0.9",
        "environment.lifetime_length=50",
    ],
    "sebulba": [
        "learner=recurrent",
        "environment.factory=podmeta.checks.host_task:make_task",
        "environment.lifetime_length=40",
        "outer=actor_critic",
        "outer.num_lifetimes=32",
        "outer.unroll_length=20",
        "outer.td_lambda=0.9",
        "architecture=sebulba",
        "architecture.learner_devices=1",
        "architecture.max_lag=0",
    ],
}
"""The jobs that are compared, as overrides."""

_COMPARED = ("fitness_mean", "fitness_std", "gradient_norm", "meta_params_norm", "entropy", "value_loss")
"""Metrics that are compared, where a job has them: means, which hardly change with a single action."""


class Tolerance(NamedTuple):
    """How far updates may be from the CPU's.

    Attributes:
      first: the metrics of the first update, each relative to its magnitude.
      fitness: the mean fitness of any update.
      norm: the norm of θ after any update, relative to it.
    """

    first: float
    fitness: float
    norm: float


TOLERANCES = {
    "float32": Tolerance(first=0.01, fitness=0.01, norm=0.005),
    "tensorfloat32": Tolerance(first=0.02, fitness=0.02, norm=0.01),
    "bfloat16": Tolerance(first=0.05, fitness=0.03, norm=0.02),
}
"""By `numerics.matmul_precision`. On a CPU, changing every element of the first θ by about 1e-6, 1e-3 or 1e-2 of it
changed no metric of the first update by more than 3e-7, 2e-4 or 2e-3, and the fitness of none by more than 3e-4."""


def reference_job(name: str) -> JobConfig:
    """One of the jobs that are compared."""
    return compose_job(JOBS[name])


def load_reference() -> dict[str, dict[str, list[float]]]:
    """The CPU's values: by job and metric, those of each update."""
    text = importlib.resources.files("podmeta.checks").joinpath(REFERENCE).read_text(encoding="utf-8")
    return json.loads(text)["metrics"]


def kept_metrics(metrics: MetricsByUpdate) -> dict[str, list[float]]:
    """The compared ones of the metrics [num_updates, 1] of a job with one instance, as they ship."""
    return {name: [float(value) for value in metrics[name][:, 0]] for name in _COMPARED if name in metrics}


def compare(name: str, metrics: MetricsByUpdate, precision: str) -> list[Figure]:
    """How far the first updates of a job are from the CPU's.

    Args:
      name: the job's.
      metrics: [num_updates, 1] its metrics.
      precision: that of products of matrices, as `numerics.matmul_precision` names it.
    """
    expected, tolerance = load_reference()[name], TOLERANCES[precision]
    setting: dict[str, Json] = {"job": name, "matmul_precision": precision}
    figures = [
        Figure(
            f"{metric} of the first update, relative difference",
            _relative(float(metrics[metric][0, 0]), values[0]),
            at_most=tolerance.first,
            setting=setting,
        )
        for metric, values in expected.items()
    ]
    fitness, norm = metrics["fitness_mean"][:, 0], metrics["meta_params_norm"][:, 0]
    fitness_apart = float(np.abs(fitness - expected["fitness_mean"][: len(fitness)]).max())
    norm_apart = float(np.abs(norm / np.array(expected["meta_params_norm"][: len(norm)]) - 1.0).max())
    return [
        *figures,
        Figure("fitness_mean of any update, difference", fitness_apart, at_most=tolerance.fitness, setting=setting),
        Figure(
            "meta_params_norm of any update, relative difference", norm_apart, at_most=tolerance.norm, setting=setting
        ),
    ]


def _relative(value: float, expected: float) -> float:
    return abs(value - expected) / max(abs(expected), 1e-6)
