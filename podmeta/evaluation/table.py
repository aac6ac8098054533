"""The table that a meta-test ends with."""

import json

from rich.table import Table

from podmeta.evaluation.meta_test import EvaluationRow


def make_table(rows: list[EvaluationRow]) -> Table:
    """One line per algorithm, one column per setting, of its headline metric: the first that its rows are about."""
    headlines: dict[str, str] = {}
    for row in rows:
        headlines.setdefault(_key(row), row.metric)
    shown = [row for row in rows if row.metric == headlines[_key(row)]]
    settings = list(dict.fromkeys(_key(row) for row in shown))
    algorithms = list(dict.fromkeys(row.algorithm for row in shown))
    num_tasks = shown[0].num_tasks

    table = Table(title=f"per lifetime, mean of {num_tasks:,} held-out tasks with its 95% interval")
    table.add_column("algorithm")
    for setting in settings:
        table.add_column(f"{_heading(setting)}\n{headlines[setting]}", justify="right")
    for algorithm in algorithms:
        cells = {_key(row): _with_interval(row, 2) for row in shown if row.algorithm == algorithm}
        table.add_row(algorithm, *(cells.get(setting, "") for setting in settings), style=_style(algorithm))
    return table


def make_suite_table(rows: list[EvaluationRow]) -> Table:
    """One line per setting and algorithm: the headline metric, and the reward at both ends of the lifetime."""
    suite, num_tasks = rows[0].suite, rows[0].num_tasks
    table = Table(title=f"suite {suite}: mean of {num_tasks:,} held-out tasks with its 95% interval")
    table.add_column("setting")
    table.add_column("algorithm")
    for heading in ("per lifetime", "reward per env step, first fifth", "last fifth", "gain"):
        table.add_column(heading, justify="right")
    by_setting: dict[str, dict[str, list[EvaluationRow]]] = {}
    for row in rows:
        by_setting.setdefault(_key(row), {}).setdefault(row.algorithm, []).append(row)
    for key, by_algorithm in by_setting.items():
        table.add_section()
        heading = _heading(key).replace("\n", " ")
        for algorithm, about in by_algorithm.items():
            headline, by_metric = about[0], {row.metric: row for row in about}
            table.add_row(
                heading,
                algorithm,
                f"{headline.metric} {_with_interval(headline, 2)}",
                *(_with_interval(by_metric[f"reward_{part}"], 4) for part in ("first_fifth", "last_fifth", "gain")),
                style=_style(algorithm),
            )
            heading = ""
    return table


def _with_interval(row: EvaluationRow, digits: int) -> str:
    return f"{row.mean:.{digits}f} ± {row.high - row.mean:.{digits}f}"


def _key(row: EvaluationRow) -> str:
    return json.dumps({"environment": row.environment, **row.setting})


def _heading(key: str) -> str:
    setting = json.loads(key)
    return "\n".join([setting.pop("environment"), *(f"{name}={value}" for name, value in setting.items())])


def _style(algorithm: str) -> str:
    return "bold" if algorithm == "learner" else ""
