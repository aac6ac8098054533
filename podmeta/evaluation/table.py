"""The table that a meta-test ends with."""

import json

from rich.console import Group
from rich.table import Table

from podmeta.evaluation.meta_test import STEP_TIME
from podmeta.evaluation.verdict import margins_in_words, verdict_in_words
from podmeta.storage.run_files import EvaluationRow


def make_table(rows: list[EvaluationRow]) -> Table:
    """One line per algorithm, one column per setting, of its headline metric: the first that its rows are about."""
    headlines: dict[str, str] = {}
    for row in rows:
        headlines.setdefault(_key(row), row.metric)
    shown = [row for row in rows if row.metric == headlines[_key(row)]]
    settings = list(dict.fromkeys(_key(row) for row in shown))
    algorithms = list(dict.fromkeys(row.algorithm for row in shown))
    num_tasks = shown[0].num_tasks

    title = f"θ of update {rows[0].update:,}, per lifetime, mean of {num_tasks:,} lifetimes with its 95% interval"
    tasks = {row.tasks: None for row in shown}
    of_setting = {_key(row): f"{_in_a_line(_key(row))}: {row.tasks}" for row in shown}
    caption = "\n".join(tasks if len(tasks) == 1 else of_setting.values())
    table = Table(title=title, caption=caption, caption_justify="left")
    table.add_column("algorithm")
    for setting in settings:
        table.add_column(f"{_heading(setting)}\n{headlines[setting]}", justify="right")
    for algorithm in algorithms:
        cells = {_key(row): _with_interval(row, 2) for row in shown if row.algorithm == algorithm}
        table.add_row(algorithm, *(cells.get(setting, "") for setting in settings), style=_style(algorithm))
    return table


def make_suite_tables(rows: list[EvaluationRow]) -> Group:
    """One table per setting: every algorithm's headline metric, reward at both ends of the lifetime, and time.

    Each table ends with the verdicts of `podmeta.evaluation.verdict`.
    """
    by_setting: dict[str, dict[str, list[EvaluationRow]]] = {}
    for row in rows:
        by_setting.setdefault(_key(row), {}).setdefault(row.algorithm, []).append(row)
    tables = []
    for key, by_algorithm in by_setting.items():
        tasks = next(iter(by_algorithm.values()))[0].tasks
        lows = {row.metric: row.low for row in by_algorithm.get("learner", [])}
        margins = {row.metric: (row.low, row.high) for row in by_algorithm.get("learner", [])}
        table = Table(
            title=_in_a_line(key),
            title_justify="left",
            caption="\n".join([tasks, f"learns from reward: {verdict_in_words(lows)}", *margins_in_words(margins)]),
            caption_justify="left",
        )
        table.add_column("algorithm")
        metric = next(iter(by_algorithm.values()))[0].metric
        for heading in (
            f"{metric}\nper lifetime",
            "reward per step,\nfirst fifth",
            "\nlast fifth",
            "\ngain",
            "µs per step",
        ):
            table.add_column(heading, justify="right")
        for algorithm, about in by_algorithm.items():
            by_metric = {row.metric: row for row in about}
            parts = [_with_interval(by_metric[f"reward_{part}"], 3) for part in ("first_fifth", "last_fifth", "gain")]
            timed = f"{by_metric[STEP_TIME].mean:.0f}" if STEP_TIME in by_metric else ""
            table.add_row(algorithm, _with_interval(about[0], 2), *parts, timed, style=_style(algorithm))
        tables.append(table)
    explanation = (
        f"suite {rows[0].suite}, θ of update {rows[0].update:,}: mean of {rows[0].num_tasks:,} lifetimes with its 95% "
        "interval"
    )
    return Group(explanation, *tables)


def _with_interval(row: EvaluationRow, digits: int) -> str:
    return f"{row.mean:.{digits}f} ± {row.high - row.mean:.{digits}f}"


def _key(row: EvaluationRow) -> str:
    return json.dumps({"environment": row.environment, **row.setting})


def _heading(key: str) -> str:
    setting = json.loads(key)
    return "\n".join([setting.pop("environment"), *(f"{name}={value}" for name, value in setting.items())])


def _in_a_line(key: str) -> str:
    return _heading(key).replace("\n", ", ")


def _style(algorithm: str) -> str:
    return "bold" if algorithm == "learner" else ""
