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
        cells = {
            _key(row): f"{row.mean:.2f} ± {row.high - row.mean:.2f}" for row in shown if row.algorithm == algorithm
        }
        table.add_row(algorithm, *(cells.get(setting, "") for setting in settings), style=_style(algorithm))
    return table


def _key(row: EvaluationRow) -> str:
    return json.dumps({"environment": row.environment, **row.setting})


def _heading(key: str) -> str:
    setting = json.loads(key)
    return "\n".join([setting.pop("environment"), *(f"{name}={value}" for name, value in setting.items())])


def _style(algorithm: str) -> str:
    return "bold" if algorithm == "learner" else ""
