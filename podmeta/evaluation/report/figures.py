"""The figures of a report, as SVG: with colours for colour-blind readers, axes with units, and n."""

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from podmeta.evaluation.report.aggregate import Band
from podmeta.evaluation.report.record import SHARES, RunRecord

_INK = "#123456"
"""Stands for the colour of the page's text, whichever the reader's theme makes it."""

# Okabe and Ito's, the light yellow left out; dashes tell lines apart where a page is printed without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", _INK, "#7F7F7F")
DASHES = ("-", "--", "-.", ":")
SIZE = (4.4, 2.8)  # inches: as wide as a phone, so that letters stay legible there
_LEGEND_LINE, _LEGEND_GAP = 0.16, 0.04  # inches
_LEGEND_LETTERS = 42  # of a legend's line, which is as wide as the figure
_LABEL_LETTERS, _LABEL_LETTER = 24, 0.075  # of a line at an axis; and the inches of each
_LONGEST_OF_TWO_COLUMNS = 26  # letters of a name in a legend


_IS_NO_NAME = re.compile(r"_child\d+")
"""What matplotlib calls a line that was given no name."""


Style = Mapping[str, Any]
"""How matplotlib draws a line."""


def page_style() -> contextlib.AbstractContextManager[None]:
    """A block in which dollars in names are dollars, and axes have the colour of the page's text."""
    return mpl.rc_context(
        {
            "text.parse_math": False,
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
        }
    )


def styles_of(names: Sequence[str]) -> dict[str, Style]:
    """A style for each name, which it has in every figure."""
    return dict(zip(names, _styles(), strict=False))


def fitness_figure(bands: Mapping[str, Band], against: str, styles: Mapping[str, Style]) -> str:
    """Fitness of θ against "update" or "seconds", one line per group of runs, with the interval over runs."""
    figure, axes = _new_figure()
    for name, band in bands.items():
        _draw_band(axes, f"{name} (n = {band.number})", band, styles[name])
    axes.set_xlabel({"update": "update of θ", "seconds": "training time (s)"}[against])
    axes.set_ylabel("fitness (mean reward)")
    return _finished(figure, axes, f"fitness-{against}")


def throughput_figure(groups: Mapping[str, Sequence[RunRecord]], styles: Mapping[str, Style]) -> str:
    """Env steps per second over the training, one line per run, in the colour of its group."""
    figure, axes = _new_figure()
    for name, records in groups.items():
        for number, record in enumerate(records):
            seconds = [row.seconds for row in record.metrics]
            rates = [row.env_steps_per_second / 1000 for row in record.metrics]
            axes.plot(seconds, rates, label=None if number else name, **styles[name])
    axes.set_xlabel("training time (s)")
    axes.set_ylabel("thousand env steps/s")
    axes.set_ylim(bottom=0)
    return _finished(figure, axes, "throughput")


def shares_figure(record: RunRecord, identifier: str) -> str:
    """Shares of the time of actors and learner over the training, of a run that tells them."""
    figure, axes = _new_figure()
    seconds = [row.seconds for row in record.metrics]
    for (metric, name), style in zip(SHARES.items(), _styles(), strict=False):
        axes.plot(seconds, [100 * (row.number(metric) or 0.0) for row in record.metrics], label=name, **style)
    axes.set_xlabel("training time (s)")
    axes.set_ylabel("share of time (%)")
    axes.set_ylim(0, 100)
    return _finished(figure, axes, identifier)


def curves_figure(bands: Mapping[str, Band], metric: str, identifier: str, styles: Mapping[str, Style]) -> str:
    """Learning curves inside the lifetime, with their 95% bands, one per name."""
    figure, axes = _new_figure()
    for name, band in bands.items():
        _draw_band(axes, f"{name} (n = {band.number:,})", band, styles[name])
    axes.set_xlabel("env step of the lifetime")
    axes.set_ylabel(f"{'reward' if metric == 'return' else metric} per env step")
    return _finished(figure, axes, identifier)


def matrix_figure(
    scores: Float[np.ndarray, "num_settings num_runs"], setting_names: Sequence[str], run_names: Sequence[str]
) -> str:
    """Normalised scores by setting and run, with the number in every cell; empty if not tested."""
    labels = [_wrapped(name, _LABEL_LETTERS) for name in run_names]
    longest = max(len(line) for label in labels for line in label.splitlines())
    is_long = longest > _LABEL_LETTERS // 2
    height = 1.6 + 0.22 * len(setting_names) + (_LABEL_LETTER * longest if is_long else 0)
    figure = Figure(figsize=(max(SIZE[0], 1.5 + 0.6 * len(run_names)), height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.imshow(np.clip(scores, -0.2, 1.2), cmap="cividis", vmin=-0.2, vmax=1.2, aspect="auto")
    for (setting, run), score in np.ndenumerate(scores):
        if np.isfinite(score):
            colour = "white" if score < 0.5 else "black"
            axes.text(run, setting, f"{score:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_yticks(range(len(setting_names)), setting_names, fontsize=8)
    rotation, alignment = (90, "center") if is_long else (30, "right")
    axes.set_xticks(range(len(run_names)), labels, fontsize=8, rotation=rotation, ha=alignment)
    axes.set_ylabel("setting")
    axes.set_xlabel("run")
    return _to_svg(figure, "matrix")


def lifetime_figure(
    actions: Float[np.ndarray, "lifetime_length num_actions"],
    rewards: Float[np.ndarray, "lifetime_length"],
    episode_ends: np.ndarray,
    identifier: str,
) -> str:
    """One lifetime: which action was taken at every env step, what was earned, and where episodes ended."""
    figure = Figure(figsize=(SIZE[0], 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    steps = np.arange(1, len(rewards) + 1)
    upper.imshow(
        actions.T,
        aspect="auto",
        cmap="cividis",
        interpolation="none",
        origin="lower",
        extent=(0.5, len(rewards) + 0.5, -0.5, actions.shape[1] - 0.5),
    )
    upper.set_ylabel("action")
    upper.set_yticks(range(actions.shape[1]) if actions.shape[1] <= 6 else [0, actions.shape[1] - 1])
    lower.plot(steps, np.cumsum(rewards), color=COLOURS[0])
    for number, step in enumerate(steps[np.asarray(episode_ends, bool)]):
        label = "episode ends" if number == 0 else None
        lower.axvline(step, color=COLOURS[1], linewidth=0.6, linestyle=":", label=label)
    lower.set_xlabel("env step of one lifetime (n = 1)")
    lower.set_ylabel("reward so far")
    if np.any(episode_ends):
        lower.legend(frameon=False, fontsize=9)
    return _to_svg(figure, identifier)


def _draw_band(axes: Axes, label: str, band: Band, style: Style) -> None:
    alone = len(np.unique(band.positions)) < 2  # a line of one point would not be seen
    axes.plot(band.positions, band.mean, label=label, marker="o" if alone else None, **style)
    axes.fill_between(band.positions, band.low, band.high, color=style["color"], alpha=0.2, linewidth=0)


def _new_figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots()


def _styles() -> Iterator[dict[str, Any]]:
    """Line styles, each another; they begin anew after 32."""
    while True:
        for dashes in DASHES:
            for colour in COLOURS:
                yield {"color": colour, "linestyle": dashes, "linewidth": 1.4}


def _finished(figure: Figure, axes: Axes, identifier: str) -> str:
    axes.grid(alpha=0.3)
    # Asked for by itself, matplotlib would leave out names that begin with an underscore.
    handles = [line for line in axes.get_lines() if not _IS_NO_NAME.fullmatch(str(line.get_label()))]
    labels = [_wrapped(str(line.get_label()), _LEGEND_LETTERS) for line in handles]
    if handles:
        columns = 2 if max(map(len, labels)) <= _LONGEST_OF_TWO_COLUMNS else 1
        lines = [len(label.splitlines()) for label in labels]
        rows = -(-len(labels) // columns)
        heights = [sum(lines[start : start + rows]) for start in range(0, len(lines), rows)]
        figure.set_figheight(SIZE[1] + _LEGEND_LINE * max(heights) + _LEGEND_GAP * rows)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return _to_svg(figure, identifier)


def _wrapped(name: str, num_letters: int) -> str:
    """A name in lines of so many letters at most. A break after an underscore or a space is better than in a word."""
    lines = [""]
    for part in re.findall(r"[^_\s]*(?:[_\s]|$)", name):
        while len(part) > num_letters:
            lines, part = [*lines, part[:num_letters]], part[num_letters:]
        lines = [*lines[:-1], lines[-1] + part] if len(lines[-1] + part) <= num_letters else [*lines, part]
    return "\n".join(line for line in lines if line)


def _to_svg(figure: Figure, identifier: str) -> str:
    """The <svg> element. Its ids are unique, because a page holds many; its text remains text."""
    content = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": identifier, "svg.fonttype": "none", "svg.id": identifier}):
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = content.getvalue().replace(_INK, "currentColor")
    return text[text.index("<svg") :]
