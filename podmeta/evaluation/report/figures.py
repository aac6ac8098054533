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

from podmeta.evaluation.report.record import SHARES, RunRecord
from podmeta.storage.run_files import CurveRow

# Okabe and Ito's, the light yellow left out; dashes tell lines apart where a page is printed without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":")
SIZE = (4.4, 3.0)  # inches: as wide as a phone, so that letters stay legible there


_IS_NO_NAME = re.compile(r"_child\d+")
"""What matplotlib calls a line that was given no name."""


def plain_text() -> contextlib.AbstractContextManager[None]:
    """A block in which dollars in names are dollars, and no mathematics."""
    return mpl.rc_context({"text.parse_math": False})


def fitness_figure(records: Sequence[RunRecord], against: str) -> str:
    """Fitness of θ against "update" or "seconds", one line per run; of several instances, their mean and range."""
    figure, axes = _new_figure()
    for record, style in zip(records, _styles(), strict=False):
        positions = [row.update if against == "update" else row.seconds for row in record.metrics]
        values = np.array([row.fitness_by_instance() for row in record.metrics])
        if not len(values):
            continue
        axes.plot(positions, values.mean(axis=1), label=f"{record.name} (n = {values.shape[1]})", **style)
        if values.shape[1] > 1:
            low, high = values.min(axis=1), values.max(axis=1)
            axes.fill_between(positions, low, high, color=style["color"], alpha=0.2, linewidth=0)
    axes.set_xlabel({"update": "update of θ", "seconds": "training time (s)"}[against])
    axes.set_ylabel("fitness (mean reward)")
    return _finished(figure, axes, f"fitness-{against}")


def throughput_figure(records: Sequence[RunRecord]) -> str:
    """Env steps per second over the training."""
    figure, axes = _new_figure()
    for record, style in zip(records, _styles(), strict=False):
        rows = record.metrics
        axes.plot(
            [row.seconds for row in rows],
            [row.env_steps_per_second / 1000 for row in rows],
            label=record.name,
            **style,
        )
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


def curves_figure(rows: Mapping[str, CurveRow], identifier: str) -> str:
    """Learning curves inside the lifetime, with their 95% bands, one per name."""
    figure, axes = _new_figure()
    for (name, row), style in zip(rows.items(), _styles(), strict=False):
        steps = [before + (step - before) / 2 for before, step in zip([0, *row.steps], row.steps, strict=False)]
        axes.plot(steps, row.mean, label=f"{name} (n = {row.num_tasks:,})", **style)
        axes.fill_between(steps, row.low, row.high, color=style["color"], alpha=0.15, linewidth=0)
    axes.set_xlabel("env step of the lifetime")
    axes.set_ylabel(f"{next(iter(rows.values())).metric} per env step")
    return _finished(figure, axes, identifier)


def matrix_figure(
    scores: Float[np.ndarray, "num_settings num_runs"], setting_names: Sequence[str], run_names: Sequence[str]
) -> str:
    """Normalised scores by setting and run, with the number in every cell; white if not tested."""
    height = 1.6 + 0.22 * len(setting_names)
    figure = Figure(figsize=(max(SIZE[0], 1.5 + 0.6 * len(run_names)), height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.imshow(np.clip(scores, -0.2, 1.2), cmap="cividis", vmin=-0.2, vmax=1.2, aspect="auto")
    for (setting, run), score in np.ndenumerate(scores):
        if np.isfinite(score):
            colour = "white" if score < 0.5 else "black"
            axes.text(run, setting, f"{score:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_yticks(range(len(setting_names)), setting_names, fontsize=8)
    axes.set_xticks(range(len(run_names)), run_names, fontsize=8, rotation=30, ha="right")
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
        lower.legend(frameon=False, fontsize=7)
    return _to_svg(figure, identifier)


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
    labels = [str(line.get_label()) for line in handles]
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=7)
    return _to_svg(figure, identifier)


def _to_svg(figure: Figure, identifier: str) -> str:
    """The <svg> element. Its ids are unique, because a page holds many; its text remains text."""
    content = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": identifier, "svg.fonttype": "none", "svg.id": identifier}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    return text[text.index("<svg") :]
