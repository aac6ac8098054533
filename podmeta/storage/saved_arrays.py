"""Descriptions of the arrays of a checkpoint, and the form of a state that fits them."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.errors import InputError
from podmeta.storage.checkpoint_files import SavedArray
from podmeta.storage.earlier_states import in_earlier_form

_MAX_DIFFERENCES_TOLD = 5


def fitting(path: Path, saved: list[SavedArray], target: PyTree) -> PyTree:
    """The form of the target that the checkpoint holds: today's or an earlier version's.

    Raises:
      InputError: it holds neither.
    """
    differences = _differences(saved, target)
    if not differences:
        return target
    earlier = in_earlier_form(target)
    if not _differences(saved, earlier):
        return earlier
    shown = differences[:_MAX_DIFFERENCES_TOLD]
    if len(differences) > len(shown):
        shown.append(f"  and {len(differences) - len(shown)} more")
    raise InputError(
        "\n".join(
            [
                f"checkpoint {path} does not fit this job's config:",
                *shown,
                "Use the config it was saved with, or choose another run_dir.",
            ]
        )
    )


def describe(tree: PyTree, with_content: bool = False) -> list[SavedArray]:
    """Path, shape and dtype of every leaf, and with its content a SHA-256 over all of it."""
    leaves = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
    return [describe_array(path, leaf) if with_content else _without_content(path, leaf) for path, leaf in leaves]


def describe_array(path: str, array: np.ndarray) -> SavedArray:
    """The description of one array, which its SHA-256 covers too."""
    described = _without_content(path, array)
    about = {"path": described.path, "shape": described.shape, "dtype": described.dtype}
    digest = hashlib.sha256(json.dumps(about).encode())
    digest.update(little_endian_bytes(array))
    return dataclasses.replace(described, sha256=digest.hexdigest())


def little_endian_bytes(array: np.ndarray) -> bytes:
    """The content of an array, the same on any machine."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _differences(saved: list[SavedArray], target: PyTree) -> list[str]:
    """A line for every array that a checkpoint holds and the target does not, or the other way round."""
    there = {array.path: f"{array.dtype}{array.shape}" for array in saved}
    now = {array.path: f"{array.dtype}{array.shape}" for array in describe(target)}
    return [
        f"  {name}: {there.get(name, 'absent')} there, {now.get(name, 'absent')} now"
        for name in [*there, *(name for name in now if name not in there)]
        if there.get(name) != now.get(name)
    ]


def _without_content(path: str, leaf: Any) -> SavedArray:
    shape = tuple(leaf.shape) if hasattr(leaf, "shape") else np.shape(leaf)
    dtype = np.dtype(leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype)
    return SavedArray(path, list(shape), str(dtype), sha256="")
