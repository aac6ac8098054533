"""Reproduces the experiments of the paper (Kirsch et al. 2022), claim by claim: `make paper`.

    python launch/paper.py --runs runs/paper

Trains a symmetric learner and MetaRNN with three seeds each on bandits and by a curriculum to grid-worlds, tests them,
and writes `results.md` and `results.png` to the runs' folder. The same command resumes an interrupted one.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.paths import path_override
from podmeta.config.schema import EvaluationConfig
from podmeta.config.suites import REPORTING_SEED
from podmeta.distributed.resumable import run_what_is_left
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError
from podmeta.evaluation.done import is_done
from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.evaluation.statistics import Estimate, mean_of_runs
from podmeta.storage.meta_params_id import current_evaluation
from podmeta.storage.run_directory import check_config
from podmeta.storage.run_files import EvaluationRow
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode

LEARNERS = {"symmetric": "symmetric", "recurrent": "MetaRNN"}
SEEDS = (0, 1, 2)
TRANSFER = "transfer"
CONTROLS = (
    "random",
    "alternation",
    "observations_zeroed",
    "rewards_zeroed",
    "rewards_and_episode_starts_zeroed",
)


class Test(NamedTuple):
    """A meta-test that speaks for or against a claim.

    Attributes:
      claim: its letter and words.
      experiment: "bandit" or "gridworld".
      suite: the suite its rows are of.
      environment: the name of its environment.
      setting: what tells its rows from others of the suite; None for a value: not set.
      words: the setting in words.
      metric: what is shown.
      beside: other algorithms that are shown.
      relative_to: the `words` of the test that its figure is a share of; "" for none.
    """

    claim: str
    experiment: str
    suite: str
    environment: str
    setting: dict[str, Any]
    words: str
    metric: str
    beside: tuple[str, ...]
    relative_to: str = ""


def _bandit(claim: str, words: str, setting: dict[str, Any], relative_to: str = "") -> Test:
    setting = {"permute_actions": None, "lifetime_length": 100} | setting
    return Test(claim, "bandit", "experiment", "bandit", setting, words, "regret", ("random", "thompson"), relative_to)


def _grid(claim: str, words: str, setting: dict[str, Any], relative_to: str = "grid-world") -> Test:
    setting = {"permute_observations": None, "rewards": None, "permute_actions": False} | setting
    beside = ("random",)
    return Test(claim, "gridworld", "experiment", "grid_world", setting, words, "return", beside, relative_to)


def _transfer(words: str, environment: str, setting: dict[str, Any]) -> Test:
    setting = {"padded_observation_size": 8} | setting
    claim = "(e) another environment"
    return Test(claim, "gridworld", TRANSFER, environment, setting, words, "reward_last_fifth", CONTROLS)


SIMILAR, UNSEEN, SHUFFLED, SWAPPED = (
    "(a) similar tasks",
    "(b) unseen numbers of arms",
    "(c) shuffled",
    "(d) rewards swapped",
)
CARTPOLE = {"environment": "gymnax/CartPole-v1"}
ACROBOT = {"environment": "gymnax/Acrobot-v1"}
TESTS = (
    _bandit(SIMILAR, "5 arms", {"num_arms": 5}),
    _grid(SIMILAR, "grid-world", {}, relative_to=""),
    _bandit(UNSEEN, "2 arms", {"num_arms": 2}),
    _bandit(UNSEEN, "10 arms", {"num_arms": 10}),
    _bandit(SHUFFLED, "5 arms shuffled", {"num_arms": 5, "permute_actions": True}, "5 arms"),
    _grid(SHUFFLED, "observations shuffled", {"permute_observations": True}),
    _grid(SHUFFLED, "actions shuffled", {"permute_actions": None}),
    _grid(SHUFFLED, "both shuffled", {"permute_observations": True, "permute_actions": None}),
    _grid(SWAPPED, "hearts cost, traps pay", {"rewards": "swapped"}),
    _transfer("bandit, 4 arms", "bandit", {}),
    _transfer("tabular MDP", "tabular_mdp", {"padded_observation_size": None}),
    _transfer("CartPole", "gymnax", CARTPOLE),
    _transfer("Acrobot", "gymnax", ACROBOT),
)


def main(arguments: list[str] | None = None) -> int:
    """Trains and tests what is missing, then sums up. The exit code is that of the first command that fails, or 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/paper"), help="where the runs are, or are to be")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the runs")
    parser.add_argument("overrides", nargs="*", help="what `podmeta train` takes, such as evaluation.num_tasks=100")
    options = parser.parse_args(arguments)
    try:
        code = run_what_is_left(lambda: commands_left(options.runs, options.seeds, options.overrides))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if code is not None:
        return code
    table = results_table(options.runs, options.seeds)
    (options.runs / "results.md").write_text(table, encoding="utf-8")
    draw(options.runs / "results.png", options.runs, options.seeds)
    print(table)
    print(f"{options.runs}/results.md and results.png hold this. This command draws the runs as a page:")
    print(f"podmeta report {shlex.quote(str(options.runs))}/*_0")
    return 0


def commands_left(runs: Path, seeds: Sequence[int], overrides: Sequence[str]) -> Iterable[list[str]]:
    """The commands that have not come to their ends yet. Each must have, before the next is asked for.

    Raises:
      InputError: an override is invalid, or the folder of a run holds a run with another config.
    """
    for seed in seeds:
        for experiment in ("bandit", "gridworld"):
            for learner in LEARNERS:
                path = runs / f"{experiment}_{learner}_{seed}"
                arguments = [f"experiment=paper_{experiment}_{learner}", f"seed={seed}", path_override("run_dir", path)]
                arguments += [f"evaluation.seed={REPORTING_SEED}", *overrides]
                job = compose_job(arguments)
                check_config(path, job_to_yaml(job))
                if not is_done(job, path):
                    yield ["train", *arguments]
                if experiment == "gridworld" and not _is_transferred(path, job.evaluation):
                    tasks = [f"evaluation.{key}={getattr(job.evaluation, key)}" for key in ("num_tasks", "seed")]
                    yield ["evaluate", f"run={path}", f"suite={TRANSFER}", *tasks]


def _is_transferred(path: Path, evaluation: EvaluationConfig) -> bool:
    """Whether the newest θ of a run was tested on these tasks in all that the claim about other environments needs."""
    sought = (LEARNS_FROM_REWARD, evaluation.num_tasks, evaluation.seed)
    judged = [row for row in _rows(path, TRANSFER) if (row.metric, row.num_tasks, row.evaluation_seed) == sought]
    return all(any(_is_about(row, test) for row in judged) for test in TESTS if test.suite == TRANSFER)


def results_table(runs: Path, seeds: Sequence[int]) -> str:
    """The results by claim, as a table in Markdown."""
    lines = [
        f"| claim | tested on | measured, mean of {len(seeds)} seeds ± 95% t interval | "
        + " | ".join(LEARNERS.values())
        + " | beside them |",
        "|---|---|---|---|---|---|",
    ]
    for test in TESTS:
        cells = [_with_share(runs, seeds, test, learner) for learner in LEARNERS]
        if test.suite == TRANSFER:
            cells = [
                f"{cell}, after {_words(figure(runs, seeds, test._replace(metric='reward_first_fifth'), learner))}; "
                f"learns from reward: {learned(runs, seeds, test, learner)} of {len(seeds)}"
                for cell, learner in zip(cells, LEARNERS, strict=True)
            ]
        beside = [
            f"{name.replace('_', ' ')} {_words(figure(runs, seeds, test, 'symmetric', name))}" for name in test.beside
        ]
        measured = test.metric.replace("_", " ")
        lines.append(f"| {test.claim} | {test.words} | {measured} | {' | '.join(cells)} | {', '.join(beside)} |")
    return "\n".join(lines) + "\n"


def figure(runs: Path, seeds: Sequence[int], test: Test, learner: str, algorithm: str = "learner") -> Estimate:
    """What a learner, or another algorithm on its tasks, reached in a test: the mean over seeds with its t interval."""
    values = [_value(runs / f"{test.experiment}_{learner}_{seed}", test, algorithm) for seed in seeds]
    return mean_of_runs(np.array(values))


def share(runs: Path, seeds: Sequence[int], test: Test, learner: str) -> float:
    """The figure of a test as a share of that of the test it is relative to."""
    other = next(each for each in TESTS if each.words == test.relative_to)
    return figure(runs, seeds, test, learner).value / figure(runs, seeds, other, learner).value


def learned(runs: Path, seeds: Sequence[int], test: Test, learner: str) -> int:
    """How many seeds learn from reward, by the verdict of `podmeta.evaluation.verdict` in their rows."""
    paths = [runs / f"{test.experiment}_{learner}_{seed}" for seed in seeds]
    return sum(_value(path, test._replace(metric=LEARNS_FROM_REWARD), "learner") == 1 for path in paths)


def draw(path: Path, runs: Path, seeds: Sequence[int]) -> None:
    """Draws every test as dots: one a seed, in the learners' colours, with the other algorithms' as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    colours = {"symmetric": "#0072B2", "recurrent": "#D55E00"}  # Okabe and Ito's
    panels = [
        ("regret in 100 pulls of a bandit (less is better)", [test for test in TESTS if test.metric == "regret"]),
        ("reward in 150 steps of a grid-world", [test for test in TESTS if test.metric == "return"]),
    ]
    canvas = Canvas(figsize=(9.2, 4.0), layout="constrained")
    FigureCanvasAgg(canvas)
    for axes, (title, tests) in zip(canvas.subplots(1, len(panels)), panels, strict=True):
        for place, test in enumerate(tests):
            for shift, learner in zip((-0.14, 0.14), LEARNERS, strict=True):
                values = [_value(runs / f"{test.experiment}_{learner}_{seed}", test, "learner") for seed in seeds]
                label = f"{LEARNERS[learner]}, one dot a seed" if place == 0 else None
                axes.scatter(values, [place + shift] * len(values), color=colours[learner], s=28, label=label, zorder=3)
            for algorithm, style in (("random", ":"), ("thompson", "--")):
                if algorithm in test.beside:
                    value = figure(runs, seeds, test, "symmetric", algorithm).value
                    label = algorithm if place == 0 else None
                    axes.plot([value, value], [place - 0.35, place + 0.35], style, color="#555555", label=label)
        axes.set_yticks(range(len(tests)), [test.words for test in tests])
        axes.invert_yaxis()
        axes.set_xlabel(title)
        axes.grid(axis="x", alpha=0.3)
        axes.legend(fontsize="x-small", frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.18), ncols=2)
    canvas.savefig(path, dpi=120)


def _with_share(runs: Path, seeds: Sequence[int], test: Test, learner: str) -> str:
    cell = _words(figure(runs, seeds, test, learner))
    return f"{cell}, {share(runs, seeds, test, learner):.0%}" if test.relative_to else cell


def _words(estimate: Estimate) -> str:
    digits = 3 if abs(estimate.value) < 1 else 2
    mean, half_width = (f"{each:.{digits}f}" for each in (estimate.value, estimate.high - estimate.value))
    return mean if estimate.high == estimate.low else f"{mean} ± {half_width}"


def _value(path: Path, test: Test, algorithm: str) -> float:
    return _row(path, test, algorithm).mean


def _row(path: Path, test: Test, algorithm: str) -> EvaluationRow:
    """The one row of a test in a run."""
    found = [
        row
        for row in _rows(path, test.suite)
        if (row.algorithm, row.metric) == (algorithm, test.metric) and _is_about(row, test)
    ]
    if len(found) != 1:
        raise SystemExit(f"{path} has {len(found)} rows of {algorithm} in the test {test.words!r}, not one")
    return found[0]


def _is_about(row: EvaluationRow, test: Test) -> bool:
    return row.environment == test.environment and all(
        row.setting.get(key) == value for key, value in test.setting.items()
    )


def _rows(path: Path, suite: str) -> list[EvaluationRow]:
    """The rows of a suite about the newest θ of a run."""
    return [row for row in current_evaluation(path)[0] if row.suite == suite]


if __name__ == "__main__":
    restart_in_utf8_mode()
    Interruption("what has been done so far is kept; the same command goes on").watch()
    protect_streams()
    sys.exit(main())
