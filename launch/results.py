"""Trains the shipped experiments with several seeds, and tabulates what they reach: `make results`.

    python launch/results.py --runs runs/results bandit cartpole

Every experiment is one sweep over its seeds, in a folder of its own. Tasks are drawn with an evaluation seed that
development has not used. The same command resumes an interrupted one. The table is written to `results.md` in the runs'
folder.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from podmeta.config.paths import path_override
from podmeta.config.suites import EXPERIMENT, REPORTING_SEED
from podmeta.distributed.children import run_child
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError
from podmeta.evaluation.statistics import mean_of_runs
from podmeta.storage.meta_params_id import current_evaluation
from podmeta.storage.run_files import EvaluationRow
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode

NUM_SEEDS = {
    "bandit": 5,
    "bandit_recurrent": 5,
    "bandit_actor_critic": 5,
    "bandit_actor_critic_symmetric": 5,
    "bandit_table": 5,
    "cartpole": 5,
    "cartpole_recurrent": 5,
    "cartpole_rl": 5,
    "gridworld": 5,
    "tabular_mdp": 3,
    "mixture": 3,
}
"""The experiments, and with how many seeds: 5 where a training takes less than 5 minutes on 2 cores, else 3."""


class Result(NamedTuple):
    """What an experiment reached in one of its settings.

    Attributes:
      setting: the setting in words.
      metric: its headline metric.
      values: by algorithm, the mean over tasks of every seed's run.
    """

    setting: str
    metric: str
    values: dict[str, list[float]]


def main(arguments: list[str] | None = None) -> int:
    """Trains and tests what is missing, then tabulates it. Returns the first exit code that is not 0, or 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="folder of the runs")
    parser.add_argument("--num-seeds", type=int, help="seeds of every experiment (default: 5, or 3 for long ones)")
    parser.add_argument("experiments", nargs="*", help=f"some of {', '.join(NUM_SEEDS)} (default: all)")
    options = parser.parse_args(arguments)
    experiments = options.experiments or list(NUM_SEEDS)
    unknown = set(experiments) - NUM_SEEDS.keys()
    if unknown:
        parser.error(f"unknown experiments {', '.join(sorted(unknown))}: choose from {', '.join(NUM_SEEDS)}")
    for experiment in experiments:
        command = sweep_command(experiment, options.num_seeds or NUM_SEEDS[experiment], options.runs)
        print(shlex.join(["podmeta", *command]), flush=True)
        code, stopped_by = run_child([sys.executable, "-m", "podmeta", *command])
        if code != 0:
            return code if code > 0 else 128 - code
        if stopped_by is not None:
            print(f"stopped by {stopped_by}: the same command resumes it")
            return 0
    try:
        table = results_table(options.runs, experiments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    (options.runs / "results.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def sweep_command(experiment: str, num_seeds: int, runs: Path) -> list[str]:
    """The command that trains and tests an experiment with seeds 0 to `num_seeds` - 1, in the folder of its name."""
    return [
        "train",
        f"experiment={experiment}",
        f"seed=range(0,{num_seeds})",
        f"evaluation.seed={REPORTING_SEED}",
        path_override("run_dir", runs / experiment),
        "--multirun",
    ]


def results_table(runs: Path, experiments: Sequence[str]) -> str:
    """The results as a table in Markdown, one line per experiment and setting."""
    lines = [
        "| experiment | tested on | measured | learner | seeds | other algorithms on the same tasks |",
        "|---|---|---|---|---|---|",
    ]
    for experiment in experiments:
        for result in collect_results(sorted((runs / experiment).glob("[0-9]*"))):
            learner = result.values["learner"]
            others = [
                f"{name.replace('_', ' ')} {_in_words(values)}"
                for name, values in result.values.items()
                if name != "learner"
            ]
            lines.append(
                f"| `{experiment}` | {result.setting} | {result.metric} | {_in_words(learner)} | {len(learner)} | "
                f"{', '.join(others)} |"
            )
    return "\n".join(lines) + "\n"


def collect_results(run_paths: Sequence[Path]) -> list[Result]:
    """What the runs of one experiment reached, by setting of the experiment's own suite.

    Raises:
      InputError: a file of a run is damaged.
    """
    results: dict[str, Result] = {}
    for run_path in run_paths:
        rows, notes = current_evaluation(run_path)
        for note in notes:
            print(note, file=sys.stderr)
        for row in rows:
            if row.suite == EXPERIMENT:
                setting = _setting_in_words(row)
                result = results.setdefault(setting, Result(setting, row.metric, {}))
                if row.metric == result.metric:
                    result.values.setdefault(row.algorithm, []).append(row.mean)
    return list(results.values())


def _setting_in_words(row: EvaluationRow) -> str:
    changed = {"environment": row.environment, **row.setting}
    return ", ".join([str(changed.pop("environment")), *(f"{key}={value}" for key, value in changed.items())])


def _in_words(values: Sequence[float]) -> str:
    """The mean over seeds with its 95% t interval; one number where all seeds have the same."""
    mean = mean_of_runs(np.array(values))
    return f"{mean.value:.2f}" if len(set(values)) == 1 else f"{mean.value:.2f} ± {mean.high - mean.value:.2f}"


if __name__ == "__main__":
    restart_in_utf8_mode()
    Interruption("what has been done so far is kept; the same command goes on").watch()
    protect_streams()
    sys.exit(main())
