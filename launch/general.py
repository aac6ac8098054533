"""Trains `experiment=general` with several seeds, tests every θ on held-out environments, and sums up: `make general`.

    python launch/general.py --runs runs/general --shown 1

Writes `results.md` and `results.png` to the runs' folder: one θ beside its baselines in every setting, the counts of
all seeds, and how reward goes over the lifetime. Tasks are drawn with an evaluation seed that development has not used.
The same command resumes an interrupted one, but the test of a seed starts again.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.paths import path_override
from podmeta.config.suites import EXPERIMENT, REPORTING_SEED, load_suite
from podmeta.distributed.resumable import run_what_is_left
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError
from podmeta.evaluation.baselines.hand_written import HAND_WRITTEN
from podmeta.evaluation.baselines.tabular_q import TABULAR_Q
from podmeta.evaluation.counts import Comparison, count_verdicts
from podmeta.evaluation.done import is_done
from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.evaluation.verdict import BASE_ALONE, EARLY_FROM_REWARD, OVER_HAND_WRITTEN
from podmeta.storage.meta_params_id import current_evaluation, current_rows, newest_meta_params
from podmeta.storage.run_directory import check_config
from podmeta.storage.run_files import CURVES, CurveRow, EvaluationRow, read_curves
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode
from podmeta.value_types import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUITE = "held_out"
SEEDS = (0, 1, 2)
FROM_SCRATCH = ("a2c", "ppo", TABULAR_Q)
COLOURS = {"learner": "#0072B2", BASE_ALONE: "#009E73", "rewards_zeroed": "#CC79A7", "random": "#999999"}
RULE_COLOUR = "#E69F00"  # Okabe and Ito's, like the others
LABELS = {"learner": "the learned algorithm", BASE_ALONE: "its base alone", "rewards_zeroed": "with rewards zeroed"}
PANELS_A_ROW = 5


class Tested(NamedTuple):
    """A setting of the suite with the rows of one θ about it.

    Attributes:
      environment: the id of its environment, or its name.
      setting: what else it is.
      rows: by algorithm and metric.
    """

    environment: str
    setting: Mapping[str, Json]
    rows: Mapping[tuple[str, str], EvaluationRow]


def main(arguments: list[str] | None = None) -> int:
    """Trains and tests what is missing, then sums up. The exit code is that of the first command that fails, or 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/general"), help="where the runs are, or are to be")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the runs")
    parser.add_argument(
        "--shown", type=int, help="the seed whose θ the table and the picture show (default: the first)"
    )
    parser.add_argument("--suite", default=SUITE, help="the suite, or a file of that name with other controls")
    parser.add_argument("overrides", nargs="*", help="of the training, such as devices.cpu=1")
    options = parser.parse_args(arguments)
    shown = options.seeds[0] if options.shown is None else options.shown
    if shown not in options.seeds:
        parser.error(f"--shown {shown}: choose one of the seeds, {', '.join(map(str, options.seeds))}")
    try:
        code = run_what_is_left(lambda: commands_left(options.runs, options.seeds, options.suite, options.overrides))
        if code is not None:
            return code
        rows = {seed: rows_of(options.runs / str(seed)) for seed in options.seeds}
        summary = in_markdown(rows, shown)
        draw(options.runs / "results.png", settings_in(rows[shown]), curves_of(options.runs / str(shown)))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    (options.runs / "results.md").write_text(summary, encoding="utf-8")
    print(summary)
    return 0


def commands_left(runs: Path, seeds: Sequence[int], suite: str, overrides: Sequence[str]) -> Iterator[list[str]]:
    """The commands that have not come to their ends yet. Each must have, before the next is asked for.

    Raises:
      InputError: an override is invalid, or the folder of a run holds a run with another config.
    """
    for seed in seeds:
        path = runs / str(seed)
        arguments = ["experiment=general", f"seed={seed}", path_override("run_dir", path), *overrides]
        job = compose_job(arguments)
        check_config(path, job_to_yaml(job))
        if not is_done(job, path):
            yield ["train", *arguments]
        if len(settings_in(rows_of(path))) < len(load_suite(suite, job).settings):
            yield ["evaluate", path_override("run", path), f"suite={suite}", f"evaluation.seed={REPORTING_SEED}"]


def rows_of(run_path: Path) -> list[EvaluationRow]:
    """The rows about the newest θ of a run; none before it is there.

    Raises:
      InputError: a file of the run is damaged.
    """
    return current_evaluation(run_path)[0] if run_path.exists() else []


def curves_of(run_path: Path) -> list[CurveRow]:
    """The learning curves of the suite about the newest θ of a run, on the tasks of the reporting seed.

    Raises:
      InputError: a file of the run is damaged.
    """
    rows, _ = current_rows(read_curves(run_path), newest_meta_params(run_path), run_path / CURVES)
    return [row for row in rows if (row.suite, row.evaluation_seed) == (SUITE, REPORTING_SEED)]


def settings_in(rows: Sequence[EvaluationRow]) -> list[Tested]:
    """The settings of the suite in which a θ was judged on the tasks of the reporting seed."""
    settings: dict[str, list[EvaluationRow]] = {}
    for row in rows:
        if (row.suite, row.evaluation_seed) == (SUITE, REPORTING_SEED):
            settings.setdefault(json.dumps([row.environment, row.setting], sort_keys=True), []).append(row)
    tested = [
        Tested(about[0].environment_id or about[0].environment, about[0].setting, _by_algorithm_and_metric(about))
        for about in settings.values()
    ]
    return [each for each in tested if ("learner", LEARNS_FROM_REWARD) in each.rows]


def in_markdown(rows: Mapping[int, Sequence[EvaluationRow]], shown: int) -> str:
    """The results of all seeds, whose rows are given by seed, with the θ of one in full."""
    settings = {seed: settings_in(of_seed) for seed, of_seed in rows.items()}
    return "\n\n".join([settings_table(settings[shown]), seeds_table(rows), environments_table(settings)]) + "\n"


def settings_table(settings: Sequence[Tested]) -> str:
    """One θ in every setting: reward per env step in the first and the last fifth of a lifetime."""
    lines = [
        "| environment | random | from scratch | best hand-written rule | base alone | learned algorithm "
        "| learns from reward | against hand-written: early, late |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, tested in zip(names(settings), settings, strict=True):
        cells = [
            name,
            _number(tested.rows["random", "reward_last_fifth"].mean),
            _fifths(tested, FROM_SCRATCH),
            _fifths(tested, HAND_WRITTEN),
            _fifths(tested, (BASE_ALONE,)),
            _fifths(tested, ("learner",)),
            _learns(tested),
            ", ".join(_against_hand_written(tested)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def seeds_table(rows: Mapping[int, Sequence[EvaluationRow]]) -> str:
    """The counts of every seed, beside its returns on the draws of the families that training leaves out."""
    lines = [
        "| seed | lifetime rewards on the left-out draws | learns from reward | against hand-written, early | late "
        "| against its base, early | late |",
        "|---|---|---|---|---|---|---|",
    ]
    for seed, of_seed in rows.items():
        counts = count_verdicts([row for tested in settings_in(of_seed) for row in tested.rows.values()])
        about = [row for row in of_seed if (row.suite, row.algorithm) == (EXPERIMENT, "learner")]
        draws = [f"{row.mean:.1f}" for row in about if row.metric == "return"]
        comparisons = [_better_and_worse(each) for each in (*counts.hand_written, *counts.base)]
        cells = [str(seed), ", ".join(draws), f"{counts.learns} of {counts.judged}", *comparisons]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def environments_table(of_seeds: Mapping[int, Sequence[Tested]]) -> str:
    """Every seed in every setting."""
    lines = [
        "| environment | " + " | ".join(f"seed {seed}" for seed in of_seeds) + " |",
        "|---|" + "---|" * len(of_seeds),
    ]
    cells: dict[str, dict[int, str]] = {}
    for seed, settings in of_seeds.items():
        for name, tested in zip(names(settings), settings, strict=True):
            verdicts = ", ".join(_against_hand_written(tested))
            cells.setdefault(name, {})[seed] = f"{_fifths(tested, ('learner',))}; {_learns(tested)}; {verdicts}"
    lines += [f"| {name} | " + " | ".join(of.get(seed, "") for seed in of_seeds) + " |" for name, of in cells.items()]
    return "\n".join(lines)


def names(settings: Sequence[Tested]) -> list[str]:
    """The settings' environments; where several settings share one, with a key in which each differs from another."""
    result = []
    for tested in settings:
        twins = [each.setting for each in settings if each.environment == tested.environment]
        own = [
            f"{key}={json.dumps(value).strip(chr(34))}"
            for key, value in tested.setting.items()
            if any(twin.get(key) != value for twin in twins)
        ]
        result.append(", ".join([tested.environment, *own[:1]]))
    return result


def draw(path: Path, settings: Sequence[Tested], curves: Sequence[CurveRow]) -> None:
    """Draws how reward goes over the lifetime in every setting: a θ, its base alone, a rule, and controls."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    num_rows = -(-len(settings) // PANELS_A_ROW)
    figure = Figure(figsize=(3.0 * PANELS_A_ROW, 2.3 * num_rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(num_rows, PANELS_A_ROW, squeeze=False).reshape(-1)
    for axes, name, tested in zip(all_axes, names(settings), settings, strict=False):
        _draw_setting(axes, name, tested, [row for row in curves if row.setting == tested.setting])
    for axes in all_axes[len(settings) :]:
        axes.set_axis_off()
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=100)


def _draw_setting(axes: "Axes", name: str, tested: Tested, curves: Sequence[CurveRow]) -> None:
    rule = max(
        (rule for rule in HAND_WRITTEN if (rule, "reward_last_fifth") in tested.rows),
        key=lambda rule: tested.rows[rule, "reward_last_fifth"].mean,
    )
    by_algorithm = {row.algorithm: row for row in curves}
    labels = {"learner": LABELS["learner"], BASE_ALONE: LABELS[BASE_ALONE], rule: "the rule best at the end"}
    for algorithm, label in (labels | {"rewards_zeroed": LABELS["rewards_zeroed"], "random": "random"}).items():
        row = by_algorithm[algorithm]
        sign = -1.0 if row.metric == "failures" else 1.0
        colour = COLOURS.get(algorithm, RULE_COLOUR)
        low, mean, high = ([sign * value for value in values] for values in (row.low, row.mean, row.high))
        axes.plot(row.steps, mean, color=colour, label=label, linewidth=2.2 if algorithm == "learner" else 1.2)
        axes.fill_between(row.steps, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_title(name, fontsize="small")
    axes.tick_params(labelsize="x-small")
    axes.grid(alpha=0.3)


def _by_algorithm_and_metric(rows: Sequence[EvaluationRow]) -> dict[tuple[str, str], EvaluationRow]:
    return {(row.algorithm, row.metric): row for row in rows}


def _fifths(tested: Tested, algorithms: Iterable[str]) -> str:
    """The first and the last fifth, each of the best of the algorithms; "" where none of them was tested."""
    were_tested = [algorithm for algorithm in algorithms if (algorithm, "reward_last_fifth") in tested.rows]
    if not were_tested:
        return ""
    best = [
        max(tested.rows[algorithm, f"reward_{part}_fifth"].mean for algorithm in were_tested)
        for part in ("first", "last")
    ]
    return " > ".join(map(_number, best))


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1.5 else f"{value:.2f}"


def _learns(tested: Tested) -> str:
    return "yes" if tested.rows["learner", LEARNS_FROM_REWARD].mean == 1 else "no"


def _against_hand_written(tested: Tested) -> list[str]:
    """Early and late, in a word; what is better, but as good with rewards zeroed, is innate."""
    verdicts = []
    for metric, when in OVER_HAND_WRITTEN.items():
        margin = tested.rows["learner", metric]
        verdict = "better" if margin.low > 0 else "worse" if margin.high < 0 else "equal"
        is_learned = when == "late" or tested.rows["learner", EARLY_FROM_REWARD].low > 0
        verdicts.append("innate" if verdict == "better" and not is_learned else verdict)
    return verdicts


def _better_and_worse(comparison: Comparison) -> str:
    return f"better in {comparison.better}, worse in {comparison.worse}"


if __name__ == "__main__":
    restart_in_utf8_mode()
    Interruption("what has been done so far is kept; the same command goes on").watch()
    protect_streams()
    sys.exit(main())
