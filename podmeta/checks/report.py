"""The results of `podmeta check`, as a table and as one JSON object."""

import math
import time
from collections.abc import Sequence

from rich.table import Table

from podmeta.checks.base import Figure, Result
from podmeta.checks.limits import limit_in_words
from podmeta.checks.run import describe
from podmeta.storage.json_files import encode
from podmeta.storage.provenance import describe_provenance
from podmeta.value_types import Json


def results_as_dict(results: Sequence[Result], devices: Sequence[str]) -> dict[str, Json]:
    """The results, and where they were measured, as one JSON object.

    Args:
      results: by check.
      devices: the devices, in words.
    """
    return {
        "passed": all(result.passed for result in results),
        "limit": limit_of(results),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "checks": [
            {
                "name": result.name,
                "passed": result.passed,
                "problem": result.problem,
                "seconds": round(result.seconds, 1),
                "figures": [_figure_as_dict(figure) for figure in result.figures],
            }
            for result in results
        ],
        "environment": encode(describe_provenance(devices)),
    }


def _figure_as_dict(figure: Figure) -> dict[str, Json]:
    """A figure. JSON has no NaN and no infinity, so these are words."""
    value = figure.value if math.isfinite(figure.value) else str(figure.value)
    return {**figure._asdict(), "value": value, "setting": dict(figure.setting)}


def results_as_table(results: Sequence[Result]) -> Table:
    """A row per check, with what it has measured: of figures with a tolerance, the worst of each name."""
    table = Table("check", "result", "seconds", "measured", show_lines=True)
    for result in results:
        lines = _lines(result.figures) or [result.problem or ""]
        table.add_row(result.name, "passed" if result.passed else "failed", f"{result.seconds:.0f}", "\n".join(lines))
    return table


def _lines(figures: Sequence[Figure]) -> list[str]:
    by_name: dict[str, list[Figure]] = {}
    for figure in figures:
        by_name.setdefault(figure.name, []).append(figure)
    lines = []
    for name, alike in by_name.items():
        if len(alike) > 1 and alike[0].at_most is not None:
            worst = max(alike, key=lambda figure: figure.value / (figure.at_most or 1.0))
            lines.append(f"{name}, worst of {len(alike)}: {worst.value:,.3g} (at most {worst.at_most:g})")
        else:
            lines += map(describe, alike)
    return lines


def limit_of(results: Sequence[Result]) -> str | None:
    """What limits the throughput, in a sentence; None if it was not measured."""
    return limit_in_words([figure for result in results if result.name == "throughput" for figure in result.figures])
