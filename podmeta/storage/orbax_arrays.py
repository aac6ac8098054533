"""The arrays of a checkpoint: Orbax writes them, for this process alone, and TensorStore reads them from memory."""

import contextlib
import json
import logging
import re
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

_IN_MEMORY = {"driver": "ocdbt", "base": {"driver": "memory"}}
_PLAIN_PATH = re.compile(r"[\w/. +,=@~-]*")


def write_arrays(path: Path, tree: PyTree) -> None:
    """Writes a tree of NumPy arrays into a new folder."""
    with _orbax() as orbax, _by_a_plain_path(path.parent) as folder:
        orbax.save(folder / path.name, args=ocp.args.PyTreeSave(_without_empty_arrays(tree)))


def read_arrays(files: dict[str, bytes], saved: list[SavedArray]) -> dict[str, np.ndarray]:
    """Reads all arrays of a checkpoint as NumPy's, by their paths in the tree that was saved.

    The files may be somebody else's. They cannot lead TensorStore to any other, because it sees no file system.

    Args:
      files: their content, by their paths in the folder that `write_arrays` made. The dictionary is emptied.
      saved: the arrays.

    Raises:
      ValueError: there are other arrays than those that were saved. Then none is read, however large they are.
    """
    context = tensorstore.Context()
    memory = tensorstore.KvStore.open({"driver": "memory"}, context=context).result()
    while files:
        name, content = files.popitem()
        memory[name] = content
    store = tensorstore.KvStore.open(_IN_MEMORY, context=context).result()
    opened = {array.path: _open(array, store, context) for array in saved if 0 not in array.shape}
    reads = {path: array.read() for path, array in opened.items()}
    return {
        array.path: reads[array.path].result() if array.path in reads else np.empty(array.shape, array.dtype)
        for array in saved
    }


def _open(array: SavedArray, store: tensorstore.KvStore, context: tensorstore.Context) -> tensorstore.TensorStore:
    """One array, once it is certain that TensorStore will unpack no more than the array holds.

    So it is of its shape, in one piece, and not compressed, as ours are, or compressed by zstd, as they once were:
    TensorStore unpacks no more of a zstd stream than the array holds. Of others it may unpack all, however large.
    """
    name = ".".join(path_keys(array.path))
    description = store.read(f"{name}/.zarray").result()
    if description.state != "value":
        raise ValueError(f"its array {name} is not where it was saved")
    spec = {"driver": "zarr", "kvstore": {**_IN_MEMORY, "path": f"{name}/"}}
    opened = tensorstore.open(spec, context=context, open=True, read=True).result()  # unpacks nothing yet
    described = json.loads(description.value)
    if described["compressor"] is not None and described["compressor"]["id"] != "zstd":
        raise ValueError(f"its array {name} is compressed by something else than zstd")
    wanted = (array.shape, array.shape, array.dtype)
    if (list(opened.shape), described["chunks"], opened.dtype.name) != wanted:
        raise ValueError(f"its array {name} is not the one that was saved")
    return opened


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
def _orbax() -> Iterator[ocp.Checkpointer]:
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
        # Compressing takes 40% of Orbax's CPU time, and makes random floats 8% smaller.
        handler = ocp.PyTreeCheckpointHandler(use_compression=False, multiprocessing_options=alone)
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as orbax:
            yield orbax
    finally:
        logger.setLevel(level)
