"""The plot of a meta-test: learning curves inside the lifetime."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from podmeta.evaluation.meta_test import headline_metric, metric_values
from podmeta.evaluation.rollouts import Lifetimes
from podmeta.evaluation.statistics import t_half_width
from podmeta.storage.files import write_atomically
from podmeta.storage.run_files import CurveRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = Shaped[np.ndarray, "num_points"]

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {
    "learner": "#0072B2",
    "random": "#999999",
    "thompson": "#E69F00",
    "ucb1": "#CC79A7",
    "gittins": "#009E73",
    "gittins_approximate": "#009E73",
}


def draw_learning_curves(path: Path, curves: dict[str, dict[str, Lifetimes]], title: str) -> None:
    """Draws, per setting, the mean over tasks with its 95% t interval against the env step of the lifetime.

    Args:
      path: the PNG to write.
      curves: by setting, by algorithm, the lifetimes, of which the headline metric is drawn, added up over env steps.
      title: above all settings: which θ it is.
    """
    with _plain_text():
        _draw_figure(path, curves, title)


def plot_curves(curves: Sequence[CurveRow]) -> "Figure":
    """A figure of learning curves: one panel per setting, means with 95% intervals against the env step.

    Args:
      curves: rows of `learning_curves.jsonl`, one at least.
    """
    from matplotlib.figure import Figure

    panels: dict[str, list[CurveRow]] = {}
    for row in curves:
        setting = ", ".join(f"{key}={value}" for key, value in row.setting.items())
        panels.setdefault(f"{row.environment}: {setting}", []).append(row)
    with _plain_text():
        figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, rows) in zip(all_axes, panels.items(), strict=True):
            for row in rows:
                _draw(axes, row.algorithm, *map(np.asarray, (row.steps, row.mean, row.low, row.high)))
            _describe(axes, title, f"{_words(rows[0].metric)} per env step", rows[0].num_tasks)
            axes.legend(frameon=False, fontsize="small")
    return figure


def _draw_figure(path: Path, curves: dict[str, dict[str, Lifetimes]], title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(curves), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (setting, measured) in zip(all_axes, curves.items(), strict=True):
        metric = headline_metric(measured)
        for algorithm, lifetimes in measured.items():
            totals = np.cumsum(metric_values(lifetimes, metric), axis=1)
            mean, half_width = totals.mean(axis=0), t_half_width(totals)
            steps = np.arange(1, totals.shape[1] + 1)
            _draw(axes, algorithm, steps, mean, mean - half_width, mean + half_width)
        _describe(axes, setting, f"{_words(metric)} so far", len(lifetimes.rewards))
    figure.suptitle(title, fontsize="small")
    all_axes[0].legend(frameon=False, fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    write_atomically(path, content.getvalue())


def _words(metric: str) -> str:
    """What a headline metric counts."""
    return "reward" if metric == "return" else metric


def _plain_text() -> AbstractContextManager[None]:
    """Keeps matplotlib from parsing texts within the block: names may have dollars."""
    import matplotlib as mpl

    return mpl.rc_context({"text.parse_math": False})


def _draw(axes: "Axes", algorithm: str, steps: Values, mean: Values, low: Values, high: Values) -> None:
    """A curve and its interval, each [num_points]."""
    width = 2.4 if algorithm == "learner" else 1.3
    (line,) = axes.plot(steps, mean, label=algorithm, color=COLOURS.get(algorithm), linewidth=width)
    axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def _describe(axes: "Axes", title: str, measured: str, num_tasks: int) -> None:
    axes.set_title(title, fontsize="small")
    axes.set_xlabel(f"env step of the lifetime ({num_tasks:,} tasks)")
    axes.set_ylabel(measured)
    axes.grid(alpha=0.3)
