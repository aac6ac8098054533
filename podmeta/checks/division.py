"""`podmeta check division`: members have the same fitness however they are divided over the devices."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from podmeta.architectures.anakin import Anakin, Rollout
from podmeta.architectures.anakin_session import to_devices
from podmeta.architectures.base import DEVICE_AXIS, TrainingState
from podmeta.checks.base import Figure, Setting
from podmeta.checks.reference import reference_job
from podmeta.distributed.devices import join, map_over_devices
from podmeta.training.build import build_program, instance_settings

_ROUNDING = 1e-4  # of a fitness; one other action changes it by more
_SHARE_THAT_MAY_DIFFER = 0.05


def measure(setting: Setting) -> list[Figure]:
    """Compares the first generation's fitness on one device and on all of them. One device has nothing to divide."""
    num_devices = setting.num_devices_divided
    if num_devices == 1:
        return [Figure("number of devices, so that there is nothing to compare", 1.0)]
    on_one, on_many = _fitness(1), _fitness(num_devices)
    apart = np.abs(on_one - on_many)
    what = {"devices": num_devices, "members": apart.size}
    return [
        Figure(
            f"share of members whose fitness differs by more than {_ROUNDING:g}",
            float(np.mean(~(apart <= _ROUNDING))),
            at_most=_SHARE_THAT_MAY_DIFFER,
            setting=what,
        ),
        Figure("largest difference", float(apart.max()), setting=what),
    ]


def _fitness(num_devices: int) -> Float[np.ndarray, "members"]:
    """The fitness of every member of the first generation, rolled out on some devices."""
    job = reference_job("evolution")
    program = build_program(job, num_devices)
    assert isinstance(program, Anakin)
    outer_loop = program.outer_loop

    def roll_out(state: TrainingState) -> Float[Array, "local_slots members entries"]:
        outer = jax.tree.map(lambda leaf: leaf[0], state.outer)
        num_local = outer_loop.num_slots // num_devices
        slots = jax.lax.axis_index(DEVICE_AXIS) * num_local + jnp.arange(num_local)
        lifetimes = jax.tree.map(lambda leaf: leaf[:, 0], state.lifetimes)
        return jax.vmap(Rollout(outer_loop).unroll, in_axes=(None, 0, 0))(outer, slots, lifetimes)[2]

    state = to_devices(jax.device_get(jax.jit(program.init)(instance_settings(job))), num_devices)
    compiled = map_over_devices(roll_out, DEVICE_AXIS, num_devices, donate=False).lower(state).compile()
    return np.ravel(join(compiled(state)))
