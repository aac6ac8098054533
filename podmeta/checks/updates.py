"""`podmeta check updates`: evolution and actor-critic on bandits reach the CPU's values, and the same bits twice."""

import jax
import numpy as np

from podmeta.architectures.base import TrainingState
from podmeta.architectures.session import MetricsByUpdate
from podmeta.benchmarks.anakin import CompiledUpdates, compile_updates
from podmeta.checks.base import Figure, Setting
from podmeta.checks.reference import compare, reference_job


def measure(setting: Setting) -> list[Figure]:
    """Compares some updates of both jobs on the first device, in every precision."""
    figures = []
    for precision in setting.matmul_precisions:
        for name in ("evolution", "actor_critic"):
            figures += _measure(name, precision, setting.num_updates)
    return figures


def _measure(name: str, precision: str, num_updates: int) -> list[Figure]:
    with jax.default_matmul_precision(precision):
        updates = compile_updates(reference_job(name), 1, num_updates, donate=False)
    (first, metrics), (second, _) = (host_results(updates) for _ in range(2))
    changed = sum(
        np.count_nonzero(one.view(np.uint32) != other.view(np.uint32))
        for one, other in zip(*map(jax.tree.leaves, (first.outer.meta_params, second.outer.meta_params)), strict=True)
    )
    setting = {"job": name, "matmul_precision": precision}
    return [
        *compare(name, metrics, precision),
        Figure("elements of θ that differ the second time", float(changed), at_most=0, setting=setting),
    ]


def host_results(updates: CompiledUpdates) -> tuple[TrainingState, MetricsByUpdate]:
    """The state after the first call and its metrics, on the host. The state before it must not have been donated."""
    state, metrics = jax.device_get(updates.call(updates.state))
    return jax.tree.map(lambda leaf: leaf[0], state), {name: values[0] for name, values in metrics.items()}
