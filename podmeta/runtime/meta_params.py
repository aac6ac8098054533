"""θ by itself: out of a run directory, or in an .npz file."""

import io
from pathlib import Path
from typing import Any

import jax
import numpy as np

from podmeta.config.compose import job_from_yaml
from podmeta.config.schema import JobConfig
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.runtime.checkpoints import Checkpoints, RestoredCheckpoint
from podmeta.runtime.files import reason, write_atomically
from podmeta.runtime.program import state_shapes


def restore_run(job: JobConfig, run_path: Path) -> RestoredCheckpoint:
    """The newest good checkpoint of a run, in whichever stage of the job it was saved.

    Raises:
      InputError: there is none, or it is another job's.
      PodmetaError: all of them are broken.
    """
    restored = Checkpoints(run_path / "checkpoints").restore_latest(lambda update: state_shapes(job, update))
    if restored is None:
        raise InputError(f"{run_path} holds no checkpoint: train it first")
    return restored


def save_meta_params(path: Path, meta_params: MetaParams) -> None:
    """Writes one θ, [...] without an axis of instances, to an .npz file, whole or not at all.

    The arrays are named by their path in θ, joined by slashes.

    Raises:
      PodmetaError: it could not be written.
    """
    content = io.BytesIO()
    np.savez(content, **_by_name(jax.device_get(meta_params)))
    write_atomically(path, content.getvalue())


def load_meta_params(source: Path, expected: MetaParams) -> MetaParams:
    """θ for every instance of a job, from a run directory or an .npz file: what `init_from` names.

    The θ of an .npz file or of a run with one instance goes to all instances; a run with as many instances as the job
    gives each its own.

    Args:
      source: the run directory, whose newest good checkpoint is read, or the file.
      expected: [num_instances, ...] a θ of the right shapes, or its shapes.

    Returns:
      θ, [num_instances, ...].

    Raises:
      InputError: there is no such run or file, or its θ has other shapes.
      PodmetaError: all checkpoints of the run are broken.
    """
    num_instances = jax.tree.leaves(expected)[0].shape[0]
    if source.is_dir():
        run = restore_run(job_from_yaml(source / "config.yaml", []), source)
        found = _by_name(run.tree.outer.meta_params)
    else:
        found = {name: array[None] for name, array in _read(source).items()}
    wanted = _by_name(expected)
    _check_shapes(
        source,
        {name: array.shape[1:] for name, array in found.items()},
        {name: leaf.shape[1:] for name, leaf in wanted.items()},
    )
    found_instances = next(iter(found.values())).shape[0]
    if found_instances not in (1, num_instances):
        raise InputError(
            f"init_from={source} has {found_instances} instances, and this job architecture.num_instances="
            f"{num_instances}: take {found_instances}, or a source with one"
        )
    leaves = [np.broadcast_to(found[name], leaf.shape).astype(leaf.dtype) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(expected), leaves)


def _by_name(meta_params: MetaParams) -> dict[str, Any]:
    """The leaves of θ, in order, by their path."""
    leaves = jax.tree_util.tree_leaves_with_path(meta_params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # NumPy raises a different one for every way in which a file is not an .npz file
        raise InputError(
            f"init_from={path} cannot be read: {reason(error)}. Name a run directory, or an .npz file of a θ"
        ) from error


def _check_shapes(source: Path, found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> None:
    differences = [
        f"{name} is {found.get(name, 'absent')} there and {wanted.get(name, 'absent')} here"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    if differences:
        more = f", and {len(differences) - 1} more differ" if len(differences) > 1 else ""
        raise InputError(
            f"the θ of init_from={source} does not fit this job's learner: {differences[0]}{more}. Use the learner it "
            "was trained with; and if that is the recurrent one, an environment of the same sizes"
        )
