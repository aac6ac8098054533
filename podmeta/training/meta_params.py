"""Reads θ, from a run directory or an .npz file."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import UInt32

from podmeta.data_files import most_array_bytes, read_named_data
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.storage.checkpoints import Checkpoints, sha256_by_instance
from podmeta.storage.files import reason
from podmeta.storage.json_files import Warn
from podmeta.storage.meta_test_record import BEST
from podmeta.storage.named_arrays import by_path, check_numbers, differences, from_npz, nested

NEWEST = "newest"
"""What the θ of a run's last update is called by users."""


class RestoredMetaParams(NamedTuple):
    """The θ of a run.

    Attributes:
      updates: [num_instances] updates that made it: those of the best θ differ by instance.
      meta_params: [num_instances, ...] nested dictionaries of arrays.
      seeds: [num_instances] of the instances.
      digests: [num_instances] recorded when it was saved; None where an earlier version saved none.
      seconds: spent training when it was saved.
    """

    updates: list[int]
    meta_params: MetaParams
    seeds: UInt32[np.ndarray, "num_instances"]
    digests: list[str] | None
    seconds: float

    @property
    def update(self) -> int:
        """The update of the latest."""
        return max(self.updates)


def restore_meta_params(run_path: Path, warn: Warn = warnings.warn, checkpoint: str = NEWEST) -> RestoredMetaParams:
    """θ from the newest good checkpoint of a run. Its shapes are in the checkpoint, so no environment is made.

    Args:
      run_path: the run directory.
      checkpoint: "newest" for the θ of that checkpoint's update, or "best" for that of every instance's best meta-test
        during training.
      warn: shows the user a warning about a newer checkpoint that is damaged.

    Raises:
      InputError: there is no checkpoint, all of them are broken, it holds no θ or no best θ, or `checkpoint` is
        something else.
    """
    if checkpoint not in (NEWEST, BEST):
        raise InputError(f"checkpoint={checkpoint} is not understood: checkpoint={NEWEST} or checkpoint={BEST}")
    restored = Checkpoints(run_path / "checkpoints").restore_latest_arrays(())
    if restored is None:
        raise InputError(f"{run_path} holds no checkpoint: train it first")
    for warning in restored.warnings:
        warn(warning)
    metadata, record = restored.metadata, restored.metadata.meta_tests
    if checkpoint == BEST and record is None:
        raise InputError(
            f"{run_path} holds no best θ up to update {restored.step}: only meta-tests during training, with "
            "evaluation.every_updates, tell which is the best"
        )
    try:
        of_meta_params = (BEST,) if checkpoint == BEST else ("outer", "meta_params")
        meta_params = nested(_below(of_meta_params, restored.tree))
        seeds = restored.tree["outer", "settings", "seed"]
        if seeds.ndim != 1 or not seeds.size:
            raise ValueError("it has no instances")
        if any(leaf.shape[:1] != seeds.shape for leaf in jax.tree.leaves(meta_params)):
            raise ValueError("the number of instances differs among its arrays")
        updates, digests = [restored.step] * len(seeds), metadata.meta_params_sha256
        if checkpoint == BEST and record is not None:
            updates, digests = record.updates, record.meta_params_sha256
            if digests != sha256_by_instance(meta_params) or len(updates) != len(seeds):
                raise ValueError("its best θ is not the one that it records")
        return RestoredMetaParams(updates, meta_params, seeds.astype(np.uint32), digests, metadata.seconds)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the checkpoint of update {restored.step} in {run_path} is not one of podmeta's: {reason(error)}"
        ) from error


def _below(keys: tuple[str, ...], arrays: Mapping[tuple[str, ...], np.ndarray]) -> dict[tuple[str, ...], np.ndarray]:
    """The arrays below a node of a tree, by the rest of their keys."""
    return {name[len(keys) :]: array for name, array in arrays.items() if name[: len(keys)] == keys}


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
      InputError: there is no such run or file, all checkpoints of the run are broken, or its θ has other shapes.
    """
    num_instances = jax.tree.leaves(expected)[0].shape[0]
    if source.is_dir():
        found = by_path(restore_meta_params(source, warn).meta_params)
    else:
        found = {name: array[None] for name, array in _read(source).items()}
    wanted = by_path(expected)
    problem = differences(
        {name: array.shape[1:] for name, array in found.items()},
        {name: leaf.shape[1:] for name, leaf in wanted.items()},
    )
    if problem is not None:
        raise InputError(
            f"the θ of init_from={source} does not fit this job's learner: {problem}. Use the learner it was trained "
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
        arrays = from_npz(read_named_data(path, most_array_bytes()))
        check_numbers(arrays)
        return arrays
    except (OSError, ValueError) as error:
        raise InputError(
            f"init_from={path} cannot be read: {reason(error)}. Name a run directory, or an .npz file of a θ"
        ) from error
