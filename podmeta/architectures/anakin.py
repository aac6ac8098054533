"""Anakin: environment and learner in one compiled program on the devices (Podracer, Hessel et al. 2021, section 3).

What one device runs. Rows of the outer loop live side by side under `vmap`, many updates follow one another in a scan,
and nothing touches the host in between. The caller maps the program over devices under the axis `DEVICE_AXIS`; each
device finds its own share of the rows from its index.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.learners.base import MetaParams
from podmeta.outer.base import InstanceSettings, Metrics, OuterLoop, OuterState, RowLifetimes, RowSummary


class Anakin(NamedTuple):
    """The program of one device.

    Attributes:
      init: (settings [num_instances], θ [num_instances, ...] or None for a fresh one) -> the state, with the rows of
        all devices.
      run: (state with this device's rows, num_updates) -> (such a state, metrics [num_updates, num_instances]); under
        the axis DEVICE_AXIS.
      env_steps_per_update: env steps of all devices and instances in one update.
    """

    init: Callable[..., TrainingState]
    run: Callable[[TrainingState, int], tuple[TrainingState, Metrics]]
    env_steps_per_update: int


def make_anakin(outer_loop: OuterLoop, *, num_instances: int, num_devices: int, rows_at_once: int = 0) -> Anakin:
    """Builds the program that runs an outer loop on `num_devices` devices.

    Args:
      outer_loop: the outer loop; its rows must divide over the devices.
      num_instances: independent meta-learners side by side.
      num_devices: devices the program is mapped over.
      rows_at_once: rows of a device that live side by side, the others after them; 0: all.

    Returns:
      The program of one device.
    """
    num_local_rows = outer_loop.num_rows // num_devices

    def live(
        outer: OuterState, rows: Int[Array, "num_local_rows"], lifetimes: RowLifetimes
    ) -> tuple[RowLifetimes, RowSummary]:
        if rows_at_once in range(1, num_local_rows):
            return jax.lax.map(lambda row: outer_loop.live(outer, *row), (rows, lifetimes), batch_size=rows_at_once)
        return jax.vmap(outer_loop.live, in_axes=(None, 0, 0))(outer, rows, lifetimes)

    def update(outer: OuterState, lifetimes: RowLifetimes) -> tuple[OuterState, RowLifetimes, Metrics]:
        rows = jax.lax.axis_index(DEVICE_AXIS) * num_local_rows + jnp.arange(num_local_rows)
        lifetimes, summaries = live(outer, rows, lifetimes)
        outer, metrics = outer_loop.update(outer, summaries, DEVICE_AXIS)
        return outer, lifetimes, metrics

    over_instances = _over_instances(update, num_instances)

    def run(state: TrainingState, num_updates: int) -> tuple[TrainingState, Metrics]:
        def step(state: TrainingState, _: None) -> tuple[TrainingState, Metrics]:
            outer, lifetimes, metrics = over_instances(state.outer, state.lifetimes)
            return TrainingState(outer, lifetimes), metrics

        return jax.lax.scan(step, state, length=num_updates)

    def init(settings: InstanceSettings, meta_params: MetaParams | None = None) -> TrainingState:
        outer = jax.vmap(outer_loop.init)(settings, meta_params)
        rows = jnp.arange(outer_loop.num_rows)
        return TrainingState(
            outer, jax.vmap(jax.vmap(outer_loop.birth, in_axes=(0, None)), in_axes=(None, 0))(outer, rows)
        )

    return Anakin(init, run, outer_loop.env_steps * num_instances)


def _over_instances(update: Callable, num_instances: int) -> Callable:
    """Maps an update over instances. A single one goes without an axis, which would only cost speed."""
    if num_instances > 1:
        return jax.vmap(update, in_axes=(0, 1), out_axes=(0, 1, 0))

    def update_the_one(outer: OuterState, lifetimes: RowLifetimes) -> Any:
        outer = jax.tree.map(lambda leaf: leaf[0], outer)
        outer, lifetimes, metrics = update(outer, jax.tree.map(lambda leaf: leaf[:, 0], lifetimes))
        return (
            jax.tree.map(lambda leaf: leaf[None], outer),
            jax.tree.map(lambda leaf: leaf[:, None], lifetimes),
            jax.tree.map(lambda leaf: leaf[None], metrics),
        )

    return update_the_one
