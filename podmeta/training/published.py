"""The run directory of a job in an object store."""

import contextlib
from collections.abc import Callable, Iterator

import jax

from podmeta.config.paths import is_store_address
from podmeta.errors import InputError
from podmeta.storage.published_run import PublishedRun, open_published


@contextlib.contextmanager
def published_run(run_dir: str, tell: Callable[[str], None]) -> Iterator[PublishedRun | None]:
    """Holds a run that is in an object store within the `with` block. Call it once processes are set up.

    Args:
      run_dir: its address, such as s3://bucket/run; or a path.
      tell: shows the user a line.

    Yields:
      The run; None for a path, which the training loop opens.

    Raises:
      InputError: the store cannot be reached, another process holds the run, or this job has several processes.
      PodmetaError: at the end of the block, the rest could not be published.
    """
    if not is_store_address(run_dir):
        yield None
        return
    if jax.process_count() > 1:
        raise InputError(
            f"run_dir={run_dir} is in an object store, and a job of several processes needs a folder that all of them "
            "reach: choose another run_dir"
        )
    with open_published(run_dir, tell) as published:
        yield published
