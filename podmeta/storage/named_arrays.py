"""Pytrees of arrays as .npz files, in which every array has its path in the tree for a name."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.data_files import most_array_bytes
from podmeta.value_types import AnyArray


def by_path(tree: PyTree) -> dict[str, AnyArray]:
    """The leaves of a tree, in order, by their path, whose parts are joined by slashes."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def to_npz(tree: PyTree) -> bytes:
    """The content of an .npz file. Equal trees make equal files."""
    content = io.BytesIO()
    np.savez(content, **by_path(jax.device_get(tree)))
    return content.getvalue()


def from_npz(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, by path.

    Raises:
      ValueError: it is not the content of an .npz file, a part of it is damaged, or its arrays are too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > most_array_bytes():
            raise ValueError(f"its arrays take {size / 1e9:,.1f} GB, more than half of this machine's memory")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # NumPy raises a different one for every way in which a file is not an .npz file
        raise ValueError(str(error) or type(error).__name__) from error


def nested(arrays: Mapping[tuple[str, ...], np.ndarray]) -> PyTree:
    """The tree of nested dictionaries whose leaves are these arrays.

    Args:
      arrays: by the keys from the root of the tree to the leaf.

    Raises:
      ValueError: there are none, one stands where others are below it, or an array holds no numbers.
    """
    tree: dict[str, Any] = {}
    for keys, array in arrays.items():
        node: Any = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict) or not keys or keys[-1] in node:
            raise ValueError(f"{'/'.join(keys)} is an array where others are below it")
        node[keys[-1]] = array
    if not tree:
        raise ValueError("there are no arrays")
    check_numbers(by_path(tree))
    return tree


def check_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    """Checks that arrays hold numbers.

    Raises:
      ValueError: one does not; the message names it.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} holds {array.dtype}, not numbers")


def differences(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str | None:
    """How the shapes found differ from those wanted, in words; None if they do not."""
    different = [
        f"{name} is {found.get(name, 'absent')} there and {wanted.get(name, 'absent')} here"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    if not different:
        return None
    return different[0] + (f", and {len(different) - 1} more differ" if len(different) > 1 else "")


def filled(target: PyTree, arrays: Mapping[str, np.ndarray]) -> PyTree:
    """The tree of the target's structure and types whose leaves are these arrays.

    Args:
      target: a tree of arrays, or of their shapes and types.
      arrays: by path.

    Raises:
      ValueError: names or shapes differ from the target's, or an array holds no numbers; the message says how.
    """
    wanted = by_path(target)
    problem = differences(
        {name: array.shape for name, array in arrays.items()}, {name: leaf.shape for name, leaf in wanted.items()}
    )
    if problem is not None:
        raise ValueError(problem)
    check_numbers(arrays)
    leaves = [arrays[name].astype(leaf.dtype) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(target), leaves)
