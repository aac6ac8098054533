"""Shows which setting a meta-test is at: a live bar on a terminal, a line per setting elsewhere."""

import os
import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from podmeta.streams import printable


def show_settings(titles: list[str], enabled: bool = True, stream: TextIO | None = None) -> Iterator[int]:
    """Yields the number of each setting, from 0, and shows meanwhile that it is being measured.

    Args:
      titles: of the settings.
      enabled: the config's `logging.progress`; False shows nothing.
      stream: where to; None: stderr.
    """
    stream = sys.stderr if stream is None else stream
    titles = [" ".join(printable(title).split()) for title in titles]  # a setting may be of somebody else's run
    if enabled and stream.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
        yield from _with_bar(titles, stream)
        return
    for number, title in enumerate(titles):
        if enabled:
            print(f"meta-test {number + 1}/{len(titles)}: {title}", file=stream, flush=True)
        yield number


def _with_bar(titles: list[str], stream: TextIO) -> Iterator[int]:
    bar = Progress(
        TextColumn("meta-test {task.completed}/{task.total}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(file=stream, force_terminal=True),
    )
    with bar:
        task = bar.add_task("", total=len(titles))
        for number, title in enumerate(titles):
            bar.update(task, completed=number, description=title, refresh=True)
            yield number
        bar.update(task, completed=len(titles))
