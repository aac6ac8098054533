"""Summing up what seeds of `experiment=general` reach on held-out environments."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from launch.general import SUITE, commands_left, curves_of, draw, in_markdown, names, rows_of, settings_in
from podmeta.config.suites import REPORTING_SEED
from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.evaluation.verdict import EARLY_FROM_REWARD, OVER_BASE, OVER_HAND_WRITTEN
from podmeta.storage.run_files import CURVES, EVALUATION, CurveRow, EvaluationRow, to_json_lines

REPOSITORY = Path(__file__).parents[2]
FIFTHS = ("reward_first_fifth", "reward_last_fifth")
FIGURES = {
    "random": (0.1, 0.1),
    "online_actor_critic": (0.2, 0.4),
    "online_reinforce": (0.3, 0.35),
    "lstms_zeroed": (0.2, 0.5),
    "a2c": (0.1, 0.35),
    "tabular_q": (0.05, 0.45),
    "rewards_zeroed": (0.1, 0.1),
    "learner": (0.6, 0.7),
}
GRIDS = [{"environment": "grid_world"}, {"environment": "grid_world", "height": 6}]
EARLY, LATE = OVER_HAND_WRITTEN


def rows_in(setting, margins):
    """The rows of a setting; margins are (low, high) by the learner's metric."""
    about = {"suite": SUITE, "environment": "grid_world", "setting": setting, "environment_id": "grid_world"}
    about |= {"num_tasks": 64, "evaluation_seed": REPORTING_SEED}
    for algorithm, figures in FIGURES.items():
        for metric, mean in zip(FIFTHS, figures, strict=True):
            yield EvaluationRow(**about, algorithm=algorithm, metric=metric, mean=mean, low=mean, high=mean)
    learns = {LEARNS_FROM_REWARD: (1.0, 1.0)}
    for metric, (low, high) in (dict.fromkeys((EARLY, LATE, *OVER_BASE), (-1.0, 1.0)) | margins | learns).items():
        mean = (low + high) / 2
        yield EvaluationRow(**about, algorithm="learner", metric=metric, mean=mean, low=low, high=high)


def curves_in(setting):
    about = {"suite": SUITE, "environment": "grid_world", "setting": setting, "metric": "return", "steps": [50, 100]}
    about |= {"num_tasks": 64, "evaluation_seed": REPORTING_SEED}
    for algorithm, figures in FIGURES.items():
        mean = list(figures)
        yield CurveRow(
            **about, algorithm=algorithm, mean=mean, low=[x - 0.1 for x in mean], high=[x + 0.1 for x in mean]
        )


MARGINS = [
    {EARLY: (0.1, 0.3), EARLY_FROM_REWARD: (0.2, 0.4), LATE: (-0.3, -0.1)},
    {EARLY: (0.1, 0.3), EARLY_FROM_REWARD: (-0.1, 0.1), LATE: (-0.1, 0.1)},
]
"""Early better and late worse; early better, but innate, and late equal."""


@pytest.fixture
def runs(tmp_path):
    """Two runs that were tested, and have no checkpoints."""
    left_out = EvaluationRow("experiment", "oscillator", {}, "learner", "return", 77.5, 70.0, 80.0, 1000)
    for seed in (0, 1):
        path = tmp_path / str(seed)
        path.mkdir()
        rows = [row for setting, margins in zip(GRIDS, MARGINS, strict=True) for row in rows_in(setting, margins)]
        (path / EVALUATION).write_text(to_json_lines([left_out, *rows]), encoding="utf-8")
        curves = itertools.chain.from_iterable(map(curves_in, GRIDS))
        (path / CURVES).write_text(to_json_lines(list(curves)), encoding="utf-8")
    return tmp_path


def test_a_setting_shows_the_best_baselines_of_each_fifth_and_its_verdicts(runs):
    summary = in_markdown({seed: rows_of(runs / str(seed)) for seed in (0, 1)}, shown=1)
    first, second = (line for line in summary.splitlines() if line.startswith("| grid_world") and "yes |" in line)
    from_scratch, rule = first.split("|")[3:5]
    assert from_scratch.strip() == "0.1000 > 0.4500"
    assert rule.strip() == "0.3000 > 0.4000"
    assert first.endswith("| yes | better, worse |")
    assert second.endswith("| yes | innate, equal |")


def test_a_setting_without_baselines_from_scratch_has_an_empty_cell(runs, monkeypatch):
    for algorithm in ("a2c", "tabular_q"):
        monkeypatch.delitem(FIGURES, algorithm)
    rows = list(rows_in(GRIDS[0], MARGINS[0]))
    assert "| 0.1000 |  | 0.3000 > 0.4000 |" in in_markdown({0: rows}, shown=0)


def test_seeds_are_counted_beside_their_returns_on_left_out_draws(runs):
    summary = in_markdown({seed: rows_of(runs / str(seed)) for seed in (0, 1)}, shown=0)
    expected = r"\| {} \| 77\.5 \| 2 of 2 \| better in 1, worse in 0 \| better in 0, worse in 1 \|"
    for seed in (0, 1):
        assert re.search(expected.format(seed), summary)


def test_settings_of_one_environment_are_told_apart_by_a_key(runs):
    assert names(settings_in(rows_of(runs / "0"))) == ["grid_world", "grid_world, height=6"]


def test_results_of_tasks_that_development_used_are_left_out(runs):
    rows = list(rows_in(GRIDS[0], MARGINS[0]))
    path = runs / "0" / EVALUATION
    text = to_json_lines(rows).replace(str(REPORTING_SEED), "1000003")
    path.write_text(text, encoding="utf-8")
    assert settings_in(rows_of(runs / "0")) == []


def test_the_picture_has_a_panel_for_every_setting(runs, monkeypatch):
    titles = []
    monkeypatch.setattr(Axes, "set_title", lambda axes, title, **_: titles.append(title))
    draw(runs / "results.png", settings_in(rows_of(runs / "0")), curves_of(runs / "0"))
    assert titles == ["grid_world", "grid_world, height=6"]
    assert (runs / "results.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_missing_is_trained_and_then_tested(tmp_path):
    commands = list(commands_left(tmp_path, [3], SUITE, ["devices.cpu=1"]))
    assert [command[0] for command in commands] == ["train", "evaluate"]
    assert {"experiment=general", "seed=3", "devices.cpu=1"} < set(commands[0])
    assert {f"suite={SUITE}", f"evaluation.seed={REPORTING_SEED}"} < set(commands[1])


def test_the_theta_shown_must_be_of_a_seed():
    """In a process, whose import path begins with the script's folder."""
    done = subprocess.run(
        [sys.executable, "launch/general.py", "--shown", "4"], cwd=REPOSITORY, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert "choose one of the seeds, 0, 1, 2" in done.stderr
