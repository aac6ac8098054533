"""θ by itself: out of a run directory, or in an .npz file."""

import warnings
from pathlib import Path

import jax
import numpy as np

from podmeta.config.compose import job_from_yaml
from podmeta.config.schema import JobConfig
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.storage.checkpoints import Checkpoints, RestoredCheckpoint
from podmeta.storage.files import reason, write_atomically
from podmeta.storage.json_files import Warn
from podmeta.storage.named_arrays import by_path, differences, from_npz, to_npz
from podmeta.training.build import state_shapes


def restore_run(job: JobConfig, run_path: Path, warn: Warn = warnings.warn) -> RestoredCheckpoint:
    """The newest good checkpoint of a run, in whichever stage of the job it was saved.

    Args:
      job: the run's config.
      run_path: the run directory.
      warn: shows the user a warning about a newer checkpoint that is damaged.

    Raises:
      InputError: there is none, or it is another job's.
      PodmetaError: all of them are broken.
    """
    restored = Checkpoints(run_path / "checkpoints").restore_latest(lambda update: state_shapes(job, update))
    if restored is None:
        raise InputError(f"{run_path} holds no checkpoint: train it first")
    for warning in restored.warnings:
        warn(warning)
    return restored


def save_meta_params(path: Path, meta_params: MetaParams) -> None:
    """Writes one θ, [...] without an axis of instances, to an .npz file, whole or not at all.

    The arrays are named by their path in θ, joined by slashes.

    Raises:
      PodmetaError: it could not be written.
    """
    write_atomically(path, to_npz(meta_params))


def load_meta_params(source: Path, expected: MetaParams, warn: Warn = warnings.warn) -> MetaParams:
    """θ for every instance of a job, from a run directory or an .npz file: what `init_from` names.

    The θ of an .npz file or of a run with one instance goes to all instances; a run with as many instances as the job
    gives each its own.

    Args:
      source: the run directory, whose newest good checkpoint is read, or the file.
      expected: [num_instances, ...] a θ of the right shapes, or its shapes.
      warn: shows the user a warning.

    Returns:
      θ, [num_instances, ...].

    Raises:
      InputError: there is no such run or file, or its θ has other shapes.
      PodmetaError: all checkpoints of the run are broken.
    """
    num_instances = jax.tree.leaves(expected)[0].shape[0]
    if source.is_dir():
        run = restore_run(job_from_yaml(source / "config.yaml", []), source, warn)
        found = by_path(run.tree.outer.meta_params)
    else:
        found = {name: array[None] for name, array in _read(source).items()}
    wanted = by_path(expected)
    told = differences(
        {name: array.shape[1:] for name, array in found.items()},
        {name: leaf.shape[1:] for name, leaf in wanted.items()},
    )
    if told is not None:
        raise InputError(
            f"the θ of init_from={source} does not fit this job's learner: {told}. Use the learner it was trained "
            "with; and if that is the recurrent one, an environment of the same sizes"
        )
    found_instances = next(iter(found.values())).shape[0]
    if found_instances not in (1, num_instances):
        raise InputError(
            f"init_from={source} has {found_instances} instances, and this job architecture.num_instances="
            f"{num_instances}: take {found_instances}, or a source with one"
        )
    leaves = [np.broadcast_to(found[name], leaf.shape).astype(leaf.dtype) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(expected), leaves)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        arrays = from_npz(path.read_bytes())
        for name, array in arrays.items():
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{name} holds {array.dtype}, not numbers")
        return arrays
    except (OSError, ValueError) as error:
        raise InputError(
            f"init_from={path} cannot be read: {reason(error)}. Name a run directory, or an .npz file of a θ"
        ) from error
