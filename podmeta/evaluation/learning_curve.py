"""The picture of a meta-test: learning curves inside the lifetime."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from podmeta.evaluation.meta_test import headline_metric, metric_values
from podmeta.evaluation.rollouts import Lifetimes
from podmeta.evaluation.statistics import t_half_width
from podmeta.storage.files import write_atomically
from podmeta.storage.run_files import CurveRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    import matplotlib as mpl

    with mpl.rc_context({"text.parse_math": False}):  # names are text, also those with dollars
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
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    for axes, (title, rows) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for row in rows:
            colour = COLOURS.get(row.algorithm)
            (line,) = axes.plot(row.steps, row.mean, label=row.algorithm, color=colour)
            axes.fill_between(row.steps, row.low, row.high, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.set_title(title, fontsize="small", parse_math=False)
        axes.set_xlabel(f"env step of the lifetime ({rows[0].num_tasks:,} tasks)")
        axes.set_ylabel(f"{rows[0].metric} per env step")
        axes.grid(alpha=0.3)
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
            _draw(axes, algorithm, np.cumsum(metric_values(lifetimes, metric), axis=1))
        num_tasks = len(lifetimes.rewards)
        axes.set_title(setting, fontsize="small")
        axes.set_xlabel(f"env step of the lifetime ({num_tasks:,} tasks)")
        axes.set_ylabel(f"{metric} so far")
        axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize="small")
    all_axes[0].legend(frameon=False, fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    write_atomically(path, content.getvalue())


def _draw(axes: object, algorithm: str, totals: Float[np.ndarray, "num_tasks lifetime_length"]) -> None:
    steps = np.arange(1, totals.shape[1] + 1)
    mean, half_width = totals.mean(axis=0), t_half_width(totals)
    colour, width = COLOURS.get(algorithm, "#D55E00"), 2.4 if algorithm == "learner" else 1.3
    axes.plot(steps, mean, label=algorithm, color=colour, linewidth=width)  # type: ignore[attr-defined]
    axes.fill_between(steps, mean - half_width, mean + half_width, color=colour, alpha=0.2, linewidth=0)  # type: ignore[attr-defined]
