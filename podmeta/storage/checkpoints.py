"""Checkpoints that are written whole or not at all, and that detect any changed byte.

Orbax writes the arrays, and TensorStore, on which it rests, reads them. Both take a flipped byte without complaint, and
Orbax does not fall back from a broken newest checkpoint. So there are two checksums: one over the files, checked before
the arrays are read from them, and one over the arrays, checked after. Files are read into memory once, and TensorStore
gets nothing but their content. So what was checked is what is used, whoever changes the files meanwhile.

A checkpoint is a folder:

    step_00000123/arrays/        orbax's files
    step_00000123/manifest.json  the step, the metadata, and path, shape, dtype and SHA-256 of every array
    step_00000123/SHA256SUMS     of every file above, as `sha256sum --check` reads it

Process 0 of a job saves, and any may restore; neither needs the other processes to take part.
"""

import contextlib
import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.data_files import most_array_bytes
from podmeta.errors import InputError, PodmetaError
from podmeta.learners.base import MetaParams
from podmeta.storage.checkpoint_files import (
    ARRAYS,
    CHECKSUMS,
    MANIFEST,
    BrokenCheckpointError,
    CheckpointMetadata,
    Manifest,
    SavedArray,
    checksum_lines,
    read_checkpoint,
    step_name,
    steps_in,
    too_large,
)
from podmeta.storage.earlier_states import in_todays_form, without_ended_lifetimes
from podmeta.storage.files import (
    TEMPORARY_PREFIX,
    create_file,
    ensure_room,
    flush_entries_to_disk,
    flush_tree_to_disk,
    is_disk_full,
    reason,
)
from podmeta.storage.json_files import encode
from podmeta.storage.meta_test_record import BEST
from podmeta.storage.orbax_arrays import read_arrays, write_arrays
from podmeta.storage.saved_arrays import describe, describe_array, fitting, little_endian_bytes
from podmeta.storage.tree_paths import path_keys

_REPLACED_PREFIX = ".replaced-"
_MAX_REASON = 300  # characters: TensorStore tells its whole configuration
# What a checkpoint takes beside the content of its arrays: files, folders and their blocks; and for each array, its
# name and shape in three places. Measured: 63 kB for 20 arrays, 470 kB for 1,000.
_OVERHEAD_BYTES = 64 * 1024
_OVERHEAD_BYTES_PER_ARRAY = 1024


class RestoredCheckpoint(NamedTuple):
    """What `Checkpoints.restore_latest` found.

    Attributes:
      step: the step it was saved at.
      tree: the target's structure, with NumPy arrays for leaves.
      metadata: what was saved with it.
      warnings: one line for every newer checkpoint that is broken.
    """

    step: int
    tree: PyTree
    metadata: CheckpointMetadata
    warnings: list[str]


class Checkpoints:
    """The checkpoints of one run. Only the holder of the run directory's lock may `recover` and `save`."""

    def __init__(self, directory: Path, keep: int = 1, keep_every: int = 0) -> None:
        """Names the directory; it need not exist yet.

        Args:
          directory: where the checkpoints are.
          keep: number of newest checkpoints to keep.
          keep_every: steps between those that are kept for good, each the first one from a multiple on; 0: none.

        Raises:
          InputError: `keep` is less than 1.
        """
        if keep < 1:
            raise InputError(f"checkpoint.keep is {keep}, and must be at least 1.")
        self.directory = directory.absolute()
        self._keep = keep
        self._keep_every = keep_every
        self._known_broken: set[int] = set()
        self._has_read_back = False

    def steps(self) -> list[int]:
        """The steps of all checkpoints, good or broken, ascending."""
        return steps_in(self.directory)

    def recover(self) -> None:
        """Repairs what a kill in the middle of `save` left behind. Call it once the lock is held."""
        if not self.directory.is_dir():
            return
        for entry in list(self.directory.iterdir()):
            if entry.name.startswith(_REPLACED_PREFIX):
                original = entry.with_name(entry.name.removeprefix(_REPLACED_PREFIX))
                if original.exists():
                    _delete(entry)
                else:
                    entry.rename(original)
            elif entry.name.startswith(TEMPORARY_PREFIX):
                _delete(entry)

    def save(self, step: int, tree: PyTree, metadata: CheckpointMetadata) -> None:
        """Saves a checkpoint and then deletes those that are too old. It is on the disk when this returns.

        The first one is read back, because a job whose checkpoints cannot be read should stop.

        Args:
          step: its number. A checkpoint of the same step is replaced.
          tree: a pytree of NumPy or JAX arrays, without typed PRNG keys.
          metadata: what is saved with it.

        Raises:
          PodmetaError: it could not be written or read back. Earlier checkpoints are intact.
          ValueError: this is not process 0 of the job: orbax writes no NumPy arrays from any other.
        """
        if jax.process_index() != 0:
            raise ValueError(f"process {jax.process_index()} may not save checkpoints: process 0 does.")
        temporary = self.directory / f"{TEMPORARY_PREFIX}{step_name(step)}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            _delete(temporary)
            _write(temporary, step, tree, metadata)
            self._read_back_once(temporary, step)
            self._publish(temporary, step)
        except Exception as error:
            _delete(temporary)
            self.recover()
            if not (isinstance(error, OSError | BrokenCheckpointError) or is_disk_full(error)):
                raise
            earlier = [other for other in self.steps() if other not in self._known_broken]
            consequence = f"{step_name(earlier[-1])} is intact" if earlier else "there is no earlier one"
            raise PodmetaError(
                f"checkpoint {step_name(step)} could not be saved in {self.directory}: {reason(error)}; {consequence}."
            ) from error
        self._known_broken.discard(step)
        self._delete_old(step)

    def restore_latest(self, target: PyTree) -> RestoredCheckpoint | None:
        """Restores the newest checkpoint that is good, without the best θ, which it may hold too.

        Args:
          target: a pytree with the expected structure, shapes and dtypes, such as a fresh state; or, if they depend on
            the step, a function from the step to such a pytree.

        Returns:
          The checkpoint; None if there is none.

        Raises:
          InputError: the newest good checkpoint holds other arrays than the target, or there are checkpoints, and
            every one is broken.
        """
        return self._newest_good(lambda step: self._restore(step, target(step) if callable(target) else target))

    def restore_latest_arrays(self, keys: tuple[str, ...]) -> RestoredCheckpoint | None:
        """Restores a part of the newest good checkpoint, whatever its shapes and whatever else the checkpoint holds.

        Args:
          keys: of the part: names of fields or keys, from the root of the tree.

        Returns:
          The checkpoint, whose tree is a dictionary of the arrays below these keys, by the rest of their keys; None
          where there is no checkpoint.

        Raises:
          InputError: its arrays are too large for this machine, or there are checkpoints, and every one is broken.
        """
        return self._newest_good(lambda step: self._restore_arrays(step, keys))

    def _newest_good(self, restore: Callable[[int], tuple[Any, CheckpointMetadata]]) -> RestoredCheckpoint | None:
        warnings = []
        for step in reversed(self.steps()):
            try:
                tree, metadata = restore(step)
            except BrokenCheckpointError as error:
                self._known_broken.add(step)
                warnings.append(f"checkpoint {self.directory / step_name(step)} is broken and skipped: {error}")
            else:
                return RestoredCheckpoint(step, tree, metadata, warnings)
        if warnings:
            raise InputError(
                "\n".join(
                    [
                        f"no checkpoint in {self.directory} is good:",
                        *(f"  {warning}" for warning in warnings),
                        "Restore a good copy, or choose another run_dir to start afresh.",
                    ]
                )
            )
        return None

    def _read_back_once(self, path: Path, step: int) -> None:
        if not self._has_read_back:
            try:
                manifest, files = read_checkpoint(path, step)
                _good_arrays(files, manifest.arrays)
            except BrokenCheckpointError as error:
                raise BrokenCheckpointError(f"it was written, but cannot be read back: {error}") from error
            self._has_read_back = True

    def _publish(self, temporary: Path, step: int) -> None:
        final = self.directory / step_name(step)
        if final.exists():
            replaced = self.directory / f"{_REPLACED_PREFIX}{final.name}"
            final.rename(replaced)
            temporary.rename(final)
            _delete(replaced)
        else:
            temporary.rename(final)
        flush_entries_to_disk(self.directory)

    def _delete_old(self, newest: int) -> None:
        older = [step for step in self.steps() if step < newest]
        good = [step for step in older if step not in self._known_broken]
        kept = good[::-1][: self._keep - 1] + self._kept_for_good(good)
        for step in set(older) - set(kept):
            # Under another name first: a kill in the middle of deleting must not leave half a checkpoint.
            doomed = self.directory / f"{TEMPORARY_PREFIX}deleted-{step_name(step)}"
            with contextlib.suppress(OSError):
                (self.directory / step_name(step)).rename(doomed)
                _delete(doomed)

    def _kept_for_good(self, good: list[int]) -> list[int]:
        """The first of the steps from each multiple of `keep_every` on, ascending."""
        first_of: dict[int, int] = {}
        for step in good if self._keep_every > 0 else []:
            first_of.setdefault(step // self._keep_every, step)
        return [step for multiple, step in first_of.items() if multiple > 0]

    def _restore(self, step: int, target: PyTree) -> tuple[Any, CheckpointMetadata]:
        path = self.directory / step_name(step)
        manifest, files = read_checkpoint(path, step)
        saved = [array for array in manifest.arrays if path_keys(array.path)[:1] != (BEST,)]
        form = fitting(path, without_ended_lifetimes(saved, describe(target)), target)
        arrays = _good_arrays(files, manifest.arrays)
        tree = jax.tree_util.tree_map_with_path(lambda leaf_path, _: arrays[jax.tree_util.keystr(leaf_path)], form)
        return in_todays_form(tree), manifest.metadata

    def _restore_arrays(
        self, step: int, keys: tuple[str, ...]
    ) -> tuple[dict[tuple[str, ...], np.ndarray], CheckpointMetadata]:
        path = self.directory / step_name(step)
        manifest, files = read_checkpoint(path, step)
        _check_size(path, manifest.arrays)
        arrays = _good_arrays(files, manifest.arrays)
        by_keys = {path_keys(name): array for name, array in arrays.items()}
        part = {name[len(keys) :]: array for name, array in by_keys.items() if name[: len(keys)] == keys}
        return part, manifest.metadata


def meta_params_sha256(meta_params: MetaParams) -> str:
    """SHA-256 of θ, as hexadecimal digits: of the bytes of its leaves, in the order of `jax.tree.leaves`.

    Bytes are little-endian and C-contiguous, so equal θ have equal digests on any machine.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(meta_params):
        digest.update(little_endian_bytes(np.asarray(leaf)))
    return digest.hexdigest()


def sha256_by_instance(meta_params: MetaParams) -> list[str]:
    """The `meta_params_sha256` of every instance of θ, [num_instances, ...]."""
    by_leaf = jax.device_get(meta_params)
    num_instances = len(jax.tree.leaves(by_leaf)[0])
    return [meta_params_sha256(jax.tree.map(lambda leaf, i=i: leaf[i], by_leaf)) for i in range(num_instances)]


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _write(directory: Path, step: int, tree: PyTree, metadata: CheckpointMetadata) -> None:
    tree = jax.tree.map(np.asarray, jax.device_get(tree))
    manifest = encode(Manifest(step, metadata, describe(tree, with_content=True)))
    directory.mkdir()
    # Orbax closes its event loop at the first write that fails; those that fail after it print a traceback each.
    ensure_room(directory, _num_bytes(tree))
    write_arrays(directory / ARRAYS, tree)
    with create_file(directory / MANIFEST) as file:
        file.write((json.dumps(manifest, indent=1) + "\n").encode())
    with create_file(directory / CHECKSUMS) as file:
        file.write("".join(checksum_lines(directory)).encode())
    flush_tree_to_disk(directory)


def _check_size(path: Path, saved: list[SavedArray]) -> None:
    """Checks that the arrays of a checkpoint, which may be somebody else's, fit into memory."""
    try:
        claimed = sum(math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in saved)
    except TypeError as error:
        raise BrokenCheckpointError(f"its manifest names a dtype that there is not: {error}") from error
    if claimed > most_array_bytes():
        raise too_large(path, claimed)


def _good_arrays(files: dict[str, bytes], saved: list[SavedArray]) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, by their paths, each as it was saved; see `read_arrays` for the files."""
    try:
        arrays = read_arrays(files, saved)
    except Exception as error:
        raise BrokenCheckpointError(f"its arrays cannot be read: {reason(error)[:_MAX_REASON]}") from error
    for array in saved:
        if describe_array(array.path, arrays[array.path]) != array:
            raise BrokenCheckpointError(f"the content of {array.path} differs from what was saved")
    return arrays


def _num_bytes(tree: PyTree) -> int:
    """The most that a checkpoint takes on the disk."""
    leaves = jax.tree.leaves(tree)
    return _OVERHEAD_BYTES + sum(leaf.nbytes + _OVERHEAD_BYTES_PER_ARRAY for leaf in leaves)
