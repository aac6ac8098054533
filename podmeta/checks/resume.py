"""`podmeta check resume`: a checkpoint resumes on another number of devices."""

import tempfile
from pathlib import Path

import jax
import numpy as np

from podmeta.architectures.anakin_session import from_devices, to_devices
from podmeta.architectures.base import TrainingState
from podmeta.benchmarks.anakin import compile_updates
from podmeta.checks.base import Figure, Setting
from podmeta.checks.reference import TOLERANCES
from podmeta.config.compose import compose_job
from podmeta.distributed.devices import unreplicate
from podmeta.errors import PodmetaError
from podmeta.keys import describe_generator
from podmeta.storage.checkpoint_files import CheckpointMetadata
from podmeta.storage.checkpoints import Checkpoints, sha256_by_instance

_JOB = [
    "learner=recurrent",
    "environment=bandit",
    "environment.lifetime_length=40",
    "outer=actor_critic",
    "outer.unroll_length=20",  # half a lifetime, so that a checkpoint holds lifetimes
    "outer.num_lifetimes=64",
]
_UPDATES_OF_A_CALL = 3  # odd, so that some lifetimes are in their middle
_WAY_APART = 0.1
"""Rounding makes far less. Fresh lifetimes or a fresh optimiser make more."""


def measure(setting: Setting) -> list[Figure]:
    """Continues a job on all devices without a break, and from a checkpoint on one device, and compares them.

    With a single device, both are the same program there, and must end at the same bits.
    """
    job = compose_job(_JOB)
    num_devices = setting.num_devices_divided
    on_many = compile_updates(job, num_devices, _UPDATES_OF_A_CALL, donate=False)
    on_one = compile_updates(job, 1, _UPDATES_OF_A_CALL, donate=False) if num_devices > 1 else on_many
    half, _ = on_many.call(on_many.state)
    undisturbed, expected = on_many.call(half)
    resumed, metrics = on_one.call(to_devices(_through_a_checkpoint(from_devices(half)), 1))

    theta, expected_theta, earlier = (_theta(from_devices(state)) for state in (resumed, undisturbed, half))
    way_apart = float(np.linalg.norm(theta - expected_theta) / np.linalg.norm(expected_theta - earlier))
    fitness, expected_fitness = (unreplicate(each)["fitness_mean"] for each in (metrics, expected))
    fitness_apart = float(np.abs(fitness - expected_fitness).max())
    tolerance = TOLERANCES["float32"] if num_devices > 1 else None
    what = {"devices": f"{num_devices}, then 1"}
    return [
        Figure(
            "distance of θ, as a share of its way since the checkpoint",
            way_apart,
            at_most=_WAY_APART if tolerance else 0,
            setting=what,
        ),
        Figure(
            "fitness_mean of any update, difference",
            fitness_apart,
            at_most=tolerance.fitness if tolerance else 0,
            setting=what,
        ),
    ]


def _through_a_checkpoint(state: TrainingState) -> TrainingState:
    """A state after it has been saved and read again."""
    with tempfile.TemporaryDirectory(prefix="podmeta_check_") as folder:
        checkpoints = Checkpoints(Path(folder))
        digests = sha256_by_instance(state.outer.meta_params)
        checkpoints.save(_UPDATES_OF_A_CALL, state, CheckpointMetadata(0.0, digests, describe_generator()))
        restored = checkpoints.restore_latest(jax.eval_shape(lambda: state))
    if restored is None:
        raise PodmetaError("a checkpoint that was just saved is not there")
    return TrainingState(*restored.tree)


def _theta(state: TrainingState) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.outer.meta_params)])
