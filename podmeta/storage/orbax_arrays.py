"""The arrays of a checkpoint as Orbax writes and reads them, for this process alone."""

import contextlib
import json
import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore
from jaxtyping import PyTree

from podmeta.storage.checkpoint_files import SavedArray
from podmeta.storage.tree_paths import path_keys

_DESCRIPTIONS = (".zarray", "zarr.json")  # of an array, by version of zarr
_PLAIN_PATH = re.compile(r"[\w/. +,=@~-]*")


def write_arrays(path: Path, tree: PyTree) -> None:
    """Writes a tree of NumPy arrays into a new folder."""
    with _orbax() as (orbax, _), _by_a_plain_path(path.parent) as folder:
        orbax.save(folder / path.name, args=ocp.args.PyTreeSave(_without_empty_arrays(tree)))


def read_arrays(path: Path, saved: list[SavedArray]) -> dict[str, np.ndarray]:
    """Reads all arrays of a checkpoint as NumPy's, by their paths in the tree that was saved.

    Orbax gives back a tree of dictionaries and lists, whatever its nodes were, without empty arrays.

    Raises:
      ValueError: it holds other arrays than those that were saved. Then none is read, however large they are.
    """
    with (
        _orbax() as (orbax, handler),
        _without_tracebacks_of_abandoned_reads(),
        _by_a_plain_path(path.parent) as folder,
    ):
        _check_compression(folder / path.name, sum(0 not in array.shape for array in saved))
        _check_described(handler.metadata(folder / path.name).tree, saved)
        restored = orbax.restore(folder / path.name, args=ocp.args.PyTreeRestore())
    by_keys = {path_keys(jax.tree_util.keystr(p)): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(restored)}
    return {
        array.path: np.empty(array.shape, array.dtype) if 0 in array.shape else by_keys[path_keys(array.path)]
        for array in saved
    }


def _check_compression(folder: Path, num_arrays: int) -> None:
    """That all arrays are compressed as Orbax compresses ours.

    TensorStore unpacks no more of a zstd stream than the array holds. Of others it may unpack all, however large.
    """
    database = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
    store = tensorstore.KvStore.open(database).result()
    names = [key.decode().rpartition("/") for key in store.list().result()]
    described = [(array, name) for array, _, name in names if name in _DESCRIPTIONS]
    others = [path for path in folder.rglob("*") if path.name in _DESCRIPTIONS]
    if others or len(described) != num_arrays:
        raise ValueError("its arrays are not where they were saved")
    for array, name in described:
        compressor = json.loads(store[f"{array}/{name}"]).get("compressor")  # zarr 3 has none
        if not isinstance(compressor, dict) or compressor.get("id") != "zstd":
            raise ValueError(f"its array {array} is not compressed by zstd")


def _check_described(described: PyTree, saved: list[SavedArray]) -> None:
    """That Orbax is about to read the arrays that were saved, and no larger pieces of them than they are."""
    wanted = {path_keys(array.path): (array.shape, array.dtype) for array in saved if 0 not in array.shape}
    found = {
        path_keys(jax.tree_util.keystr(path)): (list(array.shape), str(array.dtype))
        for path, array in jax.tree_util.tree_leaves_with_path(described)
        if list(array.storage.chunk_shape or array.shape) == list(array.shape)
    }
    if found != wanted:
        differing = next(keys for keys in [*wanted, *found] if wanted.get(keys) != found.get(keys))
        raise ValueError(f"its array {'.'.join(differing)} is not the one that was saved")


def _without_empty_arrays(tree: PyTree) -> Any:
    # Orbax refuses arrays of size zero. They hold nothing that the manifest does not tell.
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, tree)


@contextlib.contextmanager
def _by_a_plain_path(folder: Path) -> Iterator[Path]:
    """A path of a folder that means the same to everyone.

    Orbax takes [ and * for a pattern, and TensorStore a backslash for a slash and `gs:` for a cloud's storage. Where a
    path has such characters, a link to the folder stands in for it, which nobody else can write to.
    """
    if _PLAIN_PATH.fullmatch(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="podmeta-") as own:
        link = Path(own, "folder")
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


@contextlib.contextmanager
def _orbax() -> Iterator[tuple[ocp.Checkpointer, ocp.PyTreeCheckpointHandler]]:
    """Orbax in this thread and process alone: it waits for no other process, and logs nothing.

    What goes wrong it also raises, so that its log says nothing more.
    """
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix=f"process_{process}"
    )
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as orbax:
            yield orbax, handler
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _without_tracebacks_of_abandoned_reads() -> Iterator[None]:
    """Where a read fails, keeps those that end after it from printing.

    Orbax closes its event loop at the first read that fails. TensorStore's threads print a traceback for each of the
    others, also after the block. So the hook stays then; it passes on everything else.
    """
    before = sys.unraisablehook

    def print_others(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = print_others
    yield
    sys.unraisablehook = before
