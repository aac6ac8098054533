"""The arrays of a checkpoint as Orbax writes and reads them, for this process alone."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from podmeta.storage.checkpoint_files import SavedArray
from podmeta.storage.tree_paths import path_keys


def write_arrays(path: Path, tree: PyTree) -> None:
    """Writes a tree of NumPy arrays into a new folder."""
    with _orbax() as orbax:
        orbax.save(path, args=ocp.args.PyTreeSave(_without_empty_arrays(tree)))


def read_arrays(path: Path, saved: list[SavedArray]) -> dict[str, np.ndarray]:
    """Reads all arrays of a checkpoint as NumPy's, by their paths in the tree that was saved.

    Orbax gives back a tree of dictionaries and lists, whatever its nodes were, without empty arrays.
    """
    with _orbax() as orbax, _without_tracebacks_of_abandoned_reads():
        restored = orbax.restore(path, args=ocp.args.PyTreeRestore())
    by_keys = {path_keys(jax.tree_util.keystr(p)): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(restored)}
    return {
        array.path: np.empty(array.shape, array.dtype) if 0 in array.shape else by_keys[path_keys(array.path)]
        for array in saved
    }


def _without_empty_arrays(tree: PyTree) -> Any:
    # Orbax refuses arrays of size zero. They hold nothing that the manifest does not tell.
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, tree)


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
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as orbax:
            yield orbax
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
