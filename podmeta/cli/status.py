"""`podmeta status`: how runs are doing."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from podmeta.cli.arguments import Call, Commands, local_path
from podmeta.cli.console import PlainConsole
from podmeta.errors import InputError

if TYPE_CHECKING:
    from podmeta.storage.run_status import RunStatus

_DESCRIPTION = """\
Prints how runs are doing: their state, progress, rate, newest checkpoint, and why they stopped.

A folder that is no run stands for the runs inside it, such as runs/ or the folder of a sweep. A run in an object store
is named by its address, such as s3://bucket/run."""

_LONGEST_S = 1e9  # what is older has no sensible time


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "status",
        usage="podmeta status DIR ... [--json]",
        help="print how runs are doing, and why they stopped",
        description=_DESCRIPTION,
        keys=("run",),
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object per run instead of a table")
    parser.set_defaults(run=status)


def status(call: Call) -> None:
    """Prints the table.

    Raises:
      InputError: a word is no folder.
    """
    from podmeta.config.paths import is_store_address
    from podmeta.storage.run_status import find_runs, read_status, read_status_in_store

    named = _given(call)
    local = [local_path("run", path) for path in named if not is_store_address(path)]
    statuses = [read_status(path) for path in find_runs(local)]
    statuses += [read_status_in_store(address) for address in named if is_store_address(address)]
    if call.flags.json:
        for each in statuses:
            print(json.dumps(_finite_or_null(each._asdict() | {"path": str(each.path)})))
    else:
        PlainConsole().print(status_table(statuses))


def given_paths(call: Call) -> list[Path]:
    """The folders that the words name besides the keys.

    Raises:
      InputError: there is none.
    """
    return [local_path("run", path) for path in _given(call)]


def _given(call: Call) -> list[str]:
    given, others = call.split_words()
    paths = [*given["run"], *others]
    if not paths:
        raise InputError(
            f"name run directories: podmeta {call.flags.command} runs/first, or podmeta {call.flags.command} runs"
        )
    return paths


def status_table(statuses: "Sequence[RunStatus]") -> Table:
    """A line per run."""
    table = Table()
    for heading in ("run", "state", "updates", "env steps/s", "checkpoint", "heartbeat", "why"):
        table.add_column(heading, justify="right" if heading in ("updates", "env steps/s", "checkpoint") else "left")
    for each in statuses:
        table.add_row(*status_cells(each))
    return table


def status_cells(each: "RunStatus") -> tuple[str, ...]:
    """The line of a run."""
    from podmeta.training.progress import with_magnitude

    of_all = f" of {each.num_updates:,}" if each.num_updates is not None else ""
    percent = f" ({each.update / each.num_updates:.0%})" if each.num_updates and each.num_updates > 0 else ""
    rate = each.env_steps_per_second
    checkpoint = "" if each.checkpoint is None else f"{each.checkpoint:,}{_ago(each.checkpoint_age, ', ')}"
    return (
        str(each.path),
        each.state,
        f"{each.update:,}{of_all}{percent}",
        "" if rate is None or not math.isfinite(rate) else with_magnitude(rate),
        checkpoint,
        _ago(each.heartbeat_age),
        " ".join(each.reason.split()),
    )


def _ago(seconds: float | None, before: str = "") -> str:
    from podmeta.training.progress import as_duration

    if seconds is None or not abs(seconds) < _LONGEST_S:
        return ""
    return f"{before}{as_duration(max(0.0, seconds))} ago"


def _finite_or_null(values: dict[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
