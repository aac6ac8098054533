"""Runs that nothing disturbs: what they leave behind, and what they say."""

import dataclasses
import json
import math
import os
import pty
import re
import shutil
from pathlib import Path

import pytest

from podmeta.cli import main
from podmeta.config.compose import compose_job, job_from_yaml
from tests.end_to_end.job import (
    JOB,
    NUM_UPDATES,
    TINY,
    UPDATES_PER_CALL,
    Command,
    checkpoint_steps,
    digest,
    read_rows,
)
from tests.training.event_files import hyper_parameters_in, scalars_in

TESTED = (*TINY, f"num_updates={NUM_UPDATES}", "evaluation.settings=[{num_arms: 2}, {num_arms: 5}]")

METRICS = (
    "regret",
    "return",
    "reward_first_third",
    "reward_last_third",
    "reward_first_fifth",
    "reward_last_fifth",
    "reward_gain",
)


@pytest.fixture(scope="module")
def tested_run(podmeta: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run directory of a job that was trained and meta-tested, and what it printed."""
    path = tmp_path_factory.mktemp("tested") / "run"
    return path, podmeta.succeeds("train", *TESTED, f"run_dir={path}")


@pytest.mark.long
def test_every_file_of_the_run_directory_is_there_and_nothing_else(tested_run):
    path, _ = tested_run
    assert {entry.name for entry in path.iterdir()} == {
        "checkpoints",
        "config.signature",
        "config.yaml",
        "environment.json",
        "evaluation.jsonl",
        "heartbeat.json",
        "learning_curves.jsonl",
        "learning_curves.png",
        "lock",
        "metrics.jsonl",
        "summary.json",
        "tensorboard",
        "wall_clock.jsonl",
    }


def test_the_summary_tells_what_was_trained(tested_run):
    summary = json.loads((tested_run[0] / "summary.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"[0-9a-f]{64}", summary["meta_params_sha256"])
    assert summary["num_updates"] == NUM_UPDATES
    assert summary["env_steps"] == NUM_UPDATES * 8 * 10
    assert summary["env_steps_per_second"] > 0
    assert summary["num_meta_params"] > 0
    assert summary["experiment_name"] == "bandit"
    assert summary["learner"]["hidden_size"] == 4


def test_the_metrics_tell_of_every_call_once(tested_run):
    rows = read_rows(tested_run[0] / "metrics.jsonl")
    updates = list(range(UPDATES_PER_CALL, NUM_UPDATES + 1, UPDATES_PER_CALL))
    assert [row["update"] for row in rows] == updates
    assert [row["env_steps"] for row in rows] == [update * 8 * 10 for update in updates]
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    for row in rows:
        assert 0 <= row["fitness_min"] <= row["fitness_mean"] <= row["fitness_max"] <= 1
        assert all(math.isfinite(value) for value in row.values())
    assert any(row["gradient_norm"] > 0 for row in rows)  # or equal digests would mean nothing


def test_tensorboard_has_the_metrics(tested_run):
    tags = [tag for _, tag, _ in scalars_in(tested_run[0] / "tensorboard")]
    assert tags.count("train/fitness_mean") == tags.count("time/seconds") == NUM_UPDATES // UPDATES_PER_CALL
    (hyper_parameters,) = hyper_parameters_in(tested_run[0] / "tensorboard")
    assert hyper_parameters["num_updates"] == NUM_UPDATES


def test_tensorboard_has_the_results_of_the_meta_test(tested_run):
    means = {
        (
            f"eval/experiment/bandit/num_arms_{row['setting']['num_arms']}_lifetime_length_10/{row['metric']}",
            row["mean"],
        )
        for row in read_rows(tested_run[0] / "evaluation.jsonl")
        if row["algorithm"] == "learner"
    }
    found = {(tag, value) for _, tag, value in scalars_in(tested_run[0] / "tensorboard" / "evaluation")}
    assert sorted(tag for tag, _ in found) == sorted(tag for tag, _ in means)
    assert dict(found) == pytest.approx(dict(means), rel=1e-6)


def test_the_evaluation_has_a_tidy_row_for_every_algorithm_and_setting(tested_run):
    rows = read_rows(tested_run[0] / "evaluation.jsonl")
    algorithms = ("learner", "random", "thompson", "ucb1", "gittins")
    assert sorted((row["setting"]["num_arms"], row["algorithm"], row["metric"]) for row in rows) == sorted(
        (num_arms, algorithm, metric) for num_arms in (2, 5) for algorithm in algorithms for metric in METRICS
    )
    for row in rows:
        assert row["low"] <= row["mean"] <= row["high"]
        assert (row["environment"], row["setting"]["lifetime_length"], row["num_tasks"]) == ("bandit", 10, 8)


def test_the_curves_are_a_picture(tested_run):
    assert (tested_run[0] / "learning_curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_environment_tells_what_the_job_ran_with(tested_run):
    environment = json.loads((tested_run[0] / "environment.json").read_text(encoding="utf-8"))
    assert environment["packages"]["jax"]
    assert len(environment["devices"]) == 2
    assert "experiment=bandit" in environment["command_line"]


def test_the_config_makes_the_same_job_again(tested_run):
    path, _ = tested_run
    job = compose_job([*TESTED, f"run_dir={path}"])
    again = job_from_yaml(path / "config.yaml", [])
    assert dataclasses.replace(again, devices=job.devices) == job  # a config of a run does not choose devices elsewhere


def test_the_last_checkpoints_are_kept(tested_run):
    assert checkpoint_steps(tested_run[0]) == [NUM_UPDATES - 24, NUM_UPDATES - 12, NUM_UPDATES]


def test_without_a_terminal_there_are_plain_lines_only(tested_run):
    _, said = tested_run
    assert f"update {NUM_UPDATES}/{NUM_UPDATES}" in said
    assert "per lifetime" in said and "regret" in said and "gittins" in said
    assert [character for character in said if not character.isprintable() and character != "\n"] == []


def test_the_same_seed_gives_the_same_meta_parameters(tested_run, finished_run):
    assert digest(tested_run[0]) == digest(finished_run)


@pytest.mark.long
def test_on_a_terminal_a_bar_moves(podmeta, tested_run):
    """And without run_dir, the run directory lies below the folder the user is in."""
    terminal, its_end = pty.openpty()
    overrides = ("num_updates=12", "evaluation.enabled=false", "seed=1")
    job = podmeta.start("train", *TINY, *overrides, stderr=its_end, TERM="xterm-256color")
    os.close(its_end)
    said = _read_all(terminal)
    assert job.wait() == 0, said
    assert "update 12/12" in said
    assert "\x1b[?25l" in said and said.count("\x1b[?25h") >= 1, "the cursor hides, and comes back"
    (run_path,) = (podmeta.folder / "runs" / "bandit").iterdir()
    assert digest(run_path) != digest(tested_run[0])


def _read_all(terminal: int) -> str:
    said = b""
    try:
        while read := os.read(terminal, 4096):
            said += read
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(terminal)
    return said.decode()


@pytest.mark.long
def test_a_finished_run_can_be_meta_tested_again_and_in_other_settings(podmeta, tested_run):
    path, _ = tested_run
    before = read_rows(path / "evaluation.jsonl")
    settings = "evaluation.settings=[{num_arms: 2}, {num_arms: 3}]"
    assert "num_arms=3" in podmeta.succeeds("evaluate", f"run={path}", settings)
    after = read_rows(path / "evaluation.jsonl")
    assert all(row in after for row in before)
    assert {row["setting"]["num_arms"] for row in after} == {2, 3, 5}
    assert len(after) == len(before) * 3 // 2


@pytest.mark.long
def test_a_suite_adds_its_rows_and_prints_both_ends_of_the_lifetime(podmeta, tested_run, finished_run):
    path, _ = tested_run
    before = read_rows(path / "evaluation.jsonl")
    arguments = ("suite=in_distribution", f"beside={finished_run}", "evaluation.num_tasks=4")
    said = podmeta.succeeds("evaluate", f"run={path}", *arguments)
    assert "suite in_distribution, θ of update 144: mean of 4" in said and "last fifth" in said
    assert "learns from reward: " in said and "not tested" not in said
    after = read_rows(path / "evaluation.jsonl")
    added = [row for row in after if row["suite"] == "in_distribution"]
    assert [row for row in after if row["suite"] == "experiment"] == before
    assert {row["algorithm"] for row in added} == {
        "learner",
        "random",
        "thompson",
        "ucb1",
        "gittins",
        "alternation",
        "observations_zeroed",
        "rewards_zeroed",
        "rewards_and_episode_starts_zeroed",
        finished_run.name,
    }
    curves = read_rows(path / "learning_curves.jsonl")
    assert {(row["suite"], row["algorithm"]) for row in added} == {
        (row["suite"], row["algorithm"]) for row in curves if row["suite"] == "in_distribution"
    }


@pytest.mark.long
def test_a_job_without_updates_leaves_its_first_state(podmeta, tmp_path):
    podmeta.succeeds("train", *TINY, "num_updates=0", "evaluation.enabled=false", f"run_dir={tmp_path}")
    assert checkpoint_steps(tmp_path) == [0]
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["env_steps"] == 0


@pytest.mark.long
def test_a_finished_run_is_finished(podmeta, finished_run):
    modified = (finished_run / "checkpoints").stat().st_mtime_ns
    said = podmeta.succeeds(
        "train", *TINY, f"num_updates={NUM_UPDATES}", "evaluation.enabled=false", f"run_dir={finished_run}"
    )
    assert f"nothing left to train: update {NUM_UPDATES} is done" in said and "going on" not in said
    assert (finished_run / "checkpoints").stat().st_mtime_ns == modified


@pytest.mark.long
def test_run_dir_alone_goes_on_to_the_end_of_the_runs_own_job(podmeta, finished_run, tmp_path):
    # No copy: of a run that somebody else may have started, the devices are not taken.
    podmeta.succeeds("train", *JOB, f"run_dir={tmp_path / 'run'}")
    shutil.rmtree(max((tmp_path / "run" / "checkpoints").glob("step_*")))
    (tmp_path / "run" / "summary.json").unlink()
    podmeta.succeeds("train", f"run_dir={tmp_path / 'run'}")
    assert checkpoint_steps(tmp_path / "run")[-1] == NUM_UPDATES
    assert digest(tmp_path / "run") == digest(finished_run)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["train", "--help"], ["evaluate", "-h"], ["bench", "--help"]])
def test_help_is_there_without_waiting_for_jax(arguments, capsys):
    assert main(arguments) == 0
    assert "podmeta" in capsys.readouterr().out


def test_help_lists_experiments_and_what_they_are_for(capsys):
    main(["train", "--help"])
    assert re.search(r"^  bandit +Evolution of a symmetric learner .*bandits", capsys.readouterr().out, re.MULTILINE)
