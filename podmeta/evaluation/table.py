"""The table that a meta-test ends with."""

import json

from rich.console import Group
from rich.table import Table

from podmeta.evaluation.meta_test import STEP_TIME
from podmeta.evaluation.rows import EPISODE_RETURN, LEARNS_FROM_REWARD, metric_title
from podmeta.evaluation.verdict import margins_in_words, verdict_in_words
from podmeta.storage.run_files import EvaluationRow


def make_table(rows: list[EvaluationRow]) -> Table:
    """One line per algorithm, one column per setting, of its headline metric: the first that its rows are about.

    Below are the verdicts of `podmeta.evaluation.verdict` or, where no controls were tested, how to get them.
    """
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
    verdicts = [f"{_in_a_line(setting)}: {line}" for setting in settings for line in _verdict(rows, setting)]
    verdicts = verdicts or ["learns from reward: not tested, because that takes controls: add evaluation.controls=true"]
    caption = "\n".join([*(tasks if len(tasks) == 1 else of_setting.values()), *verdicts])
    table = Table(title=title, caption=caption, caption_justify="left")
    table.add_column("algorithm", overflow="fold")
    columns = [
        (setting, metric) for setting in settings for metric in _shown_metrics(rows, setting, headlines[setting])
    ]
    for setting, metric in columns:
        table.add_column(f"{_heading(setting)}\n{metric_title(metric)}", justify="right", overflow="fold")
    cells = {(_key(row), row.metric, row.algorithm): _with_interval(row, 2) for row in rows}
    for algorithm in algorithms:
        texts = [cells.get((setting, metric, algorithm), "") for setting, metric in columns]
        table.add_row(algorithm, *texts, style=_style(algorithm))
    return table


def _shown_metrics(rows: list[EvaluationRow], setting: str, headline: str) -> list[str]:
    """The headline metric of a setting and, where episodes end, what one of them earns."""
    episodes_end = any(row.metric == EPISODE_RETURN and _key(row) == setting for row in rows)
    return [headline, EPISODE_RETURN] if episodes_end else [headline]


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
        table.add_column("algorithm", overflow="fold")
        metric = next(iter(by_algorithm.values()))[0].metric
        with_episodes = any(row.metric == EPISODE_RETURN for about in by_algorithm.values() for row in about)
        for heading in (
            metric_title(metric) if metric == "return" else f"{metric}\nper lifetime",
            *(["episode\nreturn"] if with_episodes else []),
            "reward per step,\nfirst fifth",
            "\nlast fifth",
            "\ngain",
            "µs per step",
        ):
            table.add_column(heading, justify="right", overflow="fold")
        for algorithm, about in by_algorithm.items():
            by_metric = {row.metric: row for row in about}
            parts = [_with_interval(by_metric[f"reward_{part}"], 3) for part in ("first_fifth", "last_fifth", "gain")]
            timed = f"{by_metric[STEP_TIME].mean:.0f}" if STEP_TIME in by_metric else ""
            episodes = [_with_interval(by_metric[EPISODE_RETURN], 2)] if EPISODE_RETURN in by_metric else []
            episodes = episodes or [""] * with_episodes
            table.add_row(algorithm, _with_interval(about[0], 2), *episodes, *parts, timed, style=_style(algorithm))
        tables.append(table)
    explanation = (
        f"suite {rows[0].suite}, θ of update {rows[0].update:,}: mean of {rows[0].num_tasks:,} lifetimes with its 95% "
        "interval"
    )
    return Group(explanation, *tables)


def _verdict(rows: list[EvaluationRow], setting: str) -> list[str]:
    """A line on whether the learner learns from reward in a setting, if that was tested."""
    lows = {row.metric: row.low for row in rows if row.algorithm == "learner" and _key(row) == setting}
    return [f"learns from reward: {verdict_in_words(lows)}"] if LEARNS_FROM_REWARD in lows else []


def _with_interval(row: EvaluationRow, digits: int) -> str:
    return f"{row.mean:.{digits}f} ± {row.high - row.mean:.{digits}f}"


def _key(row: EvaluationRow) -> str:
    """What tells a setting from the others of a table. A setting that repeats the environment's id says it once."""
    title = row.environment_id or row.environment
    return json.dumps({"environment": title} | {key: value for key, value in row.setting.items() if value != title})


def _heading(key: str) -> str:
    setting = json.loads(key)
    return "\n".join([setting.pop("environment"), *(f"{name}={value}" for name, value in setting.items())])


def _in_a_line(key: str) -> str:
    return _heading(key).replace("\n", ", ")


def _style(algorithm: str) -> str:
    return "bold" if algorithm == "learner" else ""
