"""The page of a report: HTML without a server, scripts or external files."""

import base64
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from podmeta.evaluation.meta_test import STEP_TIME
from podmeta.evaluation.report import figures
from podmeta.evaluation.report.aggregate import Band, by_number, fitness_band, group_runs, learning_band
from podmeta.evaluation.report.lifetime import SeenLifetime, see_lifetime
from podmeta.evaluation.report.record import RunRecord, read_runs
from podmeta.evaluation.rows import lower_is_better, metric_title, setting_key
from podmeta.evaluation.verdict import verdict_in_words
from podmeta.storage.files import write_atomically
from podmeta.storage.json_files import Warn
from podmeta.storage.run_files import CurveRow, EvaluationRow, MetricsRow

_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --page: #fff; --line: #ccc; --box: #f5f5f5; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e6e6; --page: #16181c; --line: #444; --box: #22252b; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0 auto;
       padding: 1rem; max-width: 110rem; overflow-wrap: anywhere; }
p, h1, ol { max-width: 75rem; }
h1, h2 { line-height: 1.2; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; }
ol { flex: 1 1 20rem; min-width: 0; overflow-wrap: anywhere; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 0 1 27rem; min-width: 0; }
figcaption { font-size: 0.9rem; }
svg { max-width: 100%; height: auto; }
img { max-width: 100%; image-rendering: pixelated; }
.table, .wide { overflow-x: auto; }
.wide { flex: 0 1 auto; }
.wide svg { max-width: none; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line); min-width: 6.5rem;
         max-width: 24rem; overflow-wrap: anywhere; vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
.group th { padding-top: 1rem; }
tr.learner { font-weight: bold; }
pre { overflow-x: auto; background: var(--box); padding: 0.6rem; font-size: 0.8rem; }
@media print { :root { --text: #000; --page: #fff; }
               body { font-size: 10pt; } figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""

_LARGEST_NUMBER_OF_SETTINGS_DRAWN = 60
Groups = Mapping[str, Sequence[RunRecord]]
_NUMBER = re.compile(r"-?[\d.,]+( ± [\d.,]+| s)?|nan.*")


def write_report(run_paths: list[Path], target: Path, warn: Warn = warnings.warn, trust: bool = False) -> list[str]:
    """Writes one page about runs.

    Args:
      run_paths: the run directories.
      target: the HTML file.
      warn: shows the user a warning.
      trust: whether the user trusts the runs, so that what their configs name may be run and opened.

    Returns:
      Lines about results that the page leaves out, because they are of another θ than a run's newest.

    Raises:
      InputError: one is not a run directory, has no good checkpoint, or holds a damaged file.
      PodmetaError: the page could not be written.
    """
    with figures.page_style():
        return _write_report(read_runs(run_paths, warn, trust), target, warn)


def _write_report(records: list[RunRecord], target: Path, warn: Warn) -> list[str]:
    lifetimes = [see_lifetime(record, warn) for record in records]
    groups = group_runs(records)
    references = dict.fromkeys(row.algorithm for record in records for row in record.curves if not _is_learner(row))
    styles = figures.styles_of([*groups, *references])
    sections = [
        _section("Runs", _runs_table(records)),
        _section("Training", _training_figures(records, groups, styles)),
        *_tested(records, groups, styles),
        _section("One lifetime of each run", _lifetimes(records, lifetimes)),
        _section("Config and machine", "".join(map(_details, records))),
    ]
    names = ", ".join(record.name for record in records)
    title = escape(f"podmeta: {names}")
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )
    write_atomically(target, page)
    return [note for record in records for note in record.notes]


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>"


def _figure(svg: str, caption: str, is_wide: bool = False) -> str:
    kind = ' class="wide"' if is_wide else ""
    return f"<figure{kind}>\n{svg}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _grouped_table(heading, {"": rows})


def _grouped_table(heading: Sequence[str], groups: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """A table with a heading above each group of rows. Rows of the learner are bold, and numbers are aligned right."""
    columns = zip(*(row for rows in groups.values() for row in rows), strict=True)
    kinds = [' class="number"' if all(_NUMBER.fullmatch(cell or "0") for cell in column) else "" for column in columns]
    kinds = kinds or [""] * len(heading)

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    lines = [f"<tr>{line('th', heading)}</tr>"]
    for group, rows in groups.items():
        if group:
            lines.append(f'<tr class="group"><th colspan="{len(heading)}">{escape(group)}</th></tr>')
        for row in rows:
            kind = ' class="learner"' if row[0] == "learner" else ""
            lines.append(f"<tr{kind}>{line('td', row)}</tr>")
    return '<div class="table"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _runs_table(records: Sequence[RunRecord]) -> str:
    heading = ("run", "experiment", "learner", "seed", "updates", "env steps", "training time", "env steps/s", "θ")
    rows = []
    for record in records:
        last = record.metrics[-1] if record.metrics else MetricsRow(0, 0, 0.0, 0.0, 0.0)
        rows.append(
            (
                record.name,
                record.job.experiment_name,
                record.job.learner.name,
                str(record.job.seed),
                f"{last.update:,}",
                f"{last.env_steps:,}",
                f"{last.seconds:,.0f} s",
                f"{last.env_steps / last.seconds:,.0f}" if last.seconds else "",
                _state(record),
            )
        )
    return _table(heading, rows)


def _state(record: RunRecord) -> str:
    """The update of the run's θ, and whether the run is finished."""
    at_update = "" if record.update is None else f" at update {record.update:,}"
    return f"{'finished' if record.summary else 'unfinished'}{at_update}"


def _training_figures(records: Sequence[RunRecord], groups: Groups, styles: Mapping[str, figures.Style]) -> str:
    trained = [record for record in records if record.metrics]
    if not trained:
        return "<p>No update has been made.</p>"
    trained_by_group = {name: [record for record in members if record.metrics] for name, members in groups.items()}

    def bands(position: Callable[[MetricsRow], float]) -> dict[str, Band]:
        found = {name: fitness_band(members, position) for name, members in trained_by_group.items()}
        return {name: band for name, band in found.items() if band is not None}

    return (
        '<div class="figures">'
        + _figure(
            figures.fitness_figure(bands(lambda row: row.update), "update", styles),
            "Mean fitness by update. n: number of meta-learners; the band is the 95% interval of their mean.",
        )
        + _figure(
            figures.fitness_figure(bands(lambda row: row.seconds), "seconds", styles),
            "Mean fitness by training time, without compilation.",
        )
        + _figure(figures.throughput_figure(trained_by_group, styles), "Throughput of each call to the devices.")
        + "".join(
            _figure(
                figures.shares_figure(record, f"shares-{number}"),
                f"{record.name}: how actors spent their time, and how long the learner waited for data.",
            )
            for number, record in enumerate(trained)
            if record.has_shares
        )
        + "</div>"
    )


def _tested(records: Sequence[RunRecord], groups: Groups, styles: Mapping[str, figures.Style]) -> list[str]:
    """The sections about meta-tests."""
    untested = [record.name for record in records if not record.evaluation]
    note = f"<p>Not meta-tested: {escape(', '.join(untested))}.</p>" if untested else ""
    note += "".join(f"<p>{escape(line)}</p>" for record in records for line in record.notes)
    tested = [record for record in records if record.evaluation]
    if not tested:
        return [_section("Meta-tests", note)]
    settings = sorted(dict.fromkeys(_key(row) for record in tested for row in record.evaluation), key=by_number)
    scores = np.array([[_normalised(record, tested, setting) for record in tested] for setting in settings])
    numbers = [str(number + 1) for number in range(len(settings))]
    matrix = _figure(
        figures.matrix_figure(scores, numbers, [record.name for record in tested]),
        "Scores of each run in each setting: 0 is a random policy, 1 the best of all runs and references there. An "
        "empty cell was not tested.",
        is_wide=True,
    )
    tasks = {_key(row): row.tasks for record in tested for row in record.evaluation}
    numbered = "".join(
        f"<li>{escape(f'{setting} ({tasks[setting]})' if tasks[setting] else setting)}</li>" for setting in settings
    )
    return [
        _section("Meta-tests", f'{note}<div class="figures">{matrix}<ol>{numbered}</ol></div>'),
        _section("Learning within lifetimes", _curves(groups, settings, styles)),
        _section("Comparison with references", _references_table(tested, settings)),
    ]


def _curves(groups: Groups, settings: Sequence[str], styles: Mapping[str, figures.Style]) -> str:
    """One figure per setting: the learner of every group, and the references of the first run that has them."""
    drawn = []
    for number, setting in enumerate(settings[:_LARGEST_NUMBER_OF_SETTINGS_DRAWN]):
        rows: dict[str, list[CurveRow]] = {}
        for name, members in groups.items():
            found = [row for record in members for row in record.curves if _key(row) == setting]
            for row in found:
                if _is_learner(row):
                    rows.setdefault(name, []).append(row)
                else:
                    rows.setdefault(row.algorithm, [row])
        if rows:
            metric = next(iter(rows.values()))[0].metric
            bands = {name: learning_band(of_name) for name, of_name in rows.items()}
            svg = figures.curves_figure(bands, metric, f"curve-{number}", styles)
            drawn.append(_figure(svg, f"{number + 1}. {setting}"))
    left_out = len(settings) - _LARGEST_NUMBER_OF_SETTINGS_DRAWN
    note = f"<p>{left_out} more settings are in the table below.</p>" if left_out > 0 else ""
    explained = "Means with 95% bands, over runs where several differ in their seeds only, else over lifetimes."
    return f'<p>{explained}</p><div class="figures">{"".join(drawn)}</div>{note}'


def _references_table(records: Sequence[RunRecord], settings: Sequence[str]) -> str:
    heading = (
        "algorithm",
        "run",
        "metric",
        "per lifetime",
        "first fifth",
        "last fifth",
        "gain",
        "learns from reward",
        "µs per step",
        "n",
    )
    lines: dict[str, list[Sequence[str]]] = {setting: [] for setting in settings}
    for record in records:
        groups: dict[tuple[str, str], dict[str, EvaluationRow]] = {}
        for row in record.evaluation:
            groups.setdefault((_key(row), row.algorithm), {})[row.metric] = row
        for (setting, algorithm), by_metric in groups.items():
            metric, headline = next(iter(by_metric.items()))
            parts = [by_metric.get(f"reward_{part}") for part in ("first_fifth", "last_fifth", "gain")]
            lows = {name: row.low for name, row in by_metric.items()}
            lines[setting].append(
                (
                    algorithm,
                    record.name,
                    metric_title(metric),
                    _with_interval(headline, 2),
                    *(_with_interval(part, 4) if part else "" for part in parts),
                    verdict_in_words(lows) if algorithm == "learner" else "",
                    f"{by_metric[STEP_TIME].mean:.0f}" if STEP_TIME in by_metric else "",
                    f"{headline.num_tasks:,}",
                )
            )
    explained = (
        "<p>First and last fifth: reward per env step in these parts of the lifetime; gain: their paired difference. "
        "±: 95% interval. n: number of tasks. A learner learns from reward if its gain exceeds that of a random "
        "policy, and if in the last fifth it earns more than a random policy, than with rewards zeroed, than with "
        "rewards and episode starts zeroed and, if they were tested, than alternation and with observations zeroed. "
        "Each comparison is paired by task, and its 95% interval must be above 0.</p>"
    )
    return explained + _grouped_table(
        heading, {f"{number + 1}. {setting}": rows for number, (setting, rows) in enumerate(lines.items())}
    )


def _lifetimes(records: Sequence[RunRecord], lifetimes: Sequence[SeenLifetime | None]) -> str:
    drawn = []
    for number, (record, lifetime) in enumerate(zip(records, lifetimes, strict=True)):
        if lifetime is None:
            drawn.append(
                f"<p>{escape(record.name)} has a host environment or names files to open, so none is drawn.</p>"
            )
            continue
        svg = figures.lifetime_figure(lifetime.actions, lifetime.rewards, lifetime.episode_ends, f"lifetime-{number}")
        drawn.append(
            _figure(svg, f"{record.name} in {lifetime.environment.name}: actions (bright: chosen) and rewards.")
        )
        if lifetime.animation is not None:
            image = base64.b64encode(lifetime.animation).decode()
            alt = escape(f"{record.name} moves in its grid-world")
            animation = f'<img src="data:image/gif;base64,{image}" alt="{alt}">'
            key = "Disc: agent; heart; cross: trap; triangle: trap that ends the episode."
            drawn.append(_figure(animation, f"{record.name}: the first env steps. {key}"))
    return f'<div class="figures">{"".join(drawn)}</div>'


def _details(record: RunRecord) -> str:
    machine, git = record.provenance, record.provenance.git
    known = {
        "devices": ", ".join(machine.devices),
        "platform": machine.platform,
        "cores": str(machine.cpu_count or ""),
        "python": machine.python,
        "jax": machine.packages.get("jax", ""),
        "git revision": f"{git.revision}{' (with changes)' if git.dirty else ''}" if git else "none",
        "SHA-256 of θ": str(record.summary.meta_params_sha256) if record.summary else "",
    }
    facts = _table(("machine", ""), list(known.items()))
    config = record.run.written.decode(errors="replace")
    return f"<details>\n<summary>{escape(record.name)}</summary>\n{facts}\n<pre>{escape(config)}</pre>\n</details>"


def _normalised(record: RunRecord, records: Sequence[RunRecord], setting: str) -> float:
    """The learner's headline metric in a setting, where 0 is random and 1 the best of all runs; NaN if not tested."""
    rows = [row for each in records for row in each.evaluation if _key(row) == setting]
    metric = rows[0].metric
    rows = [row for row in rows if row.metric == metric]
    own = [row for row in record.evaluation if _key(row) == setting and row.metric == metric]
    learner = [row.mean for row in own if row.algorithm == "learner"]
    random = [row.mean for row in rows if row.algorithm == "random"]
    if not learner or not random:
        return float("nan")
    best = (min if lower_is_better(metric) else max)(row.mean for row in rows)
    return float((np.mean(learner) - np.mean(random)) / (best - np.mean(random) or 1.0))


def _is_learner(row: CurveRow) -> bool:
    return row.algorithm == "learner"


def _key(row: EvaluationRow | CurveRow) -> str:
    setting = {key: value for key, value in row.setting.items() if key != "instance"}
    return setting_key(row.suite, row.environment, setting)


def _with_interval(row: EvaluationRow, digits: int) -> str:
    return f"{row.mean:.{digits}f} ± {row.high - row.mean:.{digits}f}"
