"""`podmeta watch`: shows how runs are doing until all of them have ended."""

import math
import time
from pathlib import Path

from rich.live import Live

from podmeta.cli.arguments import Call, Commands, at_most_one
from podmeta.cli.console import PlainConsole
from podmeta.cli.status import given_paths, status_cells, status_table
from podmeta.errors import InputError
from podmeta.streams import printable

_DESCRIPTION = """\
Shows what `podmeta status` prints, again and again, until no run is running or waiting. Ctrl-C ends it, and no run.

Without a terminal, it prints a line for every run whose state, progress or checkpoint has changed."""


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    commands.add_parser(
        "watch",
        usage="podmeta watch DIR ... [every=SECONDS]",
        help="show how runs are doing until they end",
        description=_DESCRIPTION,
        keys=("run", "every"),
    ).set_defaults(run=watch)


def watch(call: Call) -> None:
    """Shows the table until all runs have ended.

    Raises:
      InputError: a word is no folder, or `every` no time.
    """
    given, _ = call.split_words()
    every_s = _seconds(at_most_one("every", given["every"]) or "5")
    paths = given_paths(call)
    call.interruption.advice = "the runs are left as they are"
    console = PlainConsole()
    if console.is_terminal:
        _show_live(paths, every_s, console)
    else:
        _print_changes(paths, every_s)


def _show_live(paths: list[Path], every_s: float, console: PlainConsole) -> None:
    from podmeta.storage.run_status import find_runs, read_status

    with Live(console=console, auto_refresh=False) as live:
        while True:
            statuses = [read_status(path) for path in find_runs(paths)]
            live.update(status_table(statuses), refresh=True)
            if all(each.is_over for each in statuses):
                return
            time.sleep(every_s)


def _print_changes(paths: list[Path], every_s: float) -> None:
    from podmeta.storage.run_status import find_runs, read_status

    shown: dict[Path | str, tuple[object, ...]] = {}
    while True:
        statuses = [read_status(path) for path in find_runs(paths)]
        for each in statuses:
            news = (each.state, each.update, each.checkpoint)
            if shown.get(each.path) != news:
                shown[each.path] = news
                run, state, updates, rate, _, _, why = status_cells(each)
                rate = f", {rate} env steps/s" if rate else ""
                print(printable(f"{run}: {state}, update {updates}{rate}: {why}"), flush=True)
        if all(each.is_over for each in statuses):
            return
        time.sleep(every_s)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise InputError(f"every={text}: give seconds between 0 and 86,400, such as every=5")
    return seconds
