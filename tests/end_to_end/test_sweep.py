"""Sweeps: real processes, one after the other."""

import re
import signal
import time

import pytest

from podmeta.cli import main
from podmeta.config.compose import compose_job, job_to_yaml
from tests.end_to_end.job import JOB, TINY, digest, read_rows, read_until

SMALL = (*TINY, "num_updates=4", "evaluation.settings=[{}]")


@pytest.mark.long
def test_a_sweep_trains_every_combination_and_ends_with_a_table(podmeta, tmp_path):
    said = podmeta.succeeds(
        "train", *SMALL, "outer.learning_rate=0.01,0.03", f"run_dir={tmp_path}", "--multirun", COLUMNS="200"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
    assert "learning_rate: 0.03" in (tmp_path / "1" / "config.yaml").read_text(encoding="utf-8")
    table = [line for line in said.splitlines() if "│" in line and "outer.learning_rate=" in line]
    assert len(table) == 2 and all("regret" in line for line in table)


@pytest.mark.long
def test_runs_at_once_are_those_of_one_after_the_other_and_a_failing_one_is_told(podmeta, tmp_path):
    swept = ("outer.learning_rate=0.01,0.03", "--multirun")
    podmeta.succeeds("train", *SMALL, *swept, f"run_dir={tmp_path}/one")
    said = podmeta.succeeds("train", *SMALL, *swept, "--jobs", "2", f"run_dir={tmp_path}/two", COLUMNS="200")
    assert [digest(tmp_path / "one" / name) for name in "01"] == [digest(tmp_path / "two" / name) for name in "01"]
    assert f"run 1 of 2: outer.learning_rate=0.01: its output is in {tmp_path}/two/0.log" in said
    assert "run 1 of 2" not in podmeta.succeeds("train", *SMALL, *swept, "--jobs", "2", f"run_dir={tmp_path}/two")
    failing = ("outer.learning_rate=1e38,0.01", "--multirun", "--jobs", "2", f"run_dir={tmp_path}/failing")
    process = podmeta.start("train", *SMALL, *failing)
    said = "".join(process.communicate(timeout=240))
    assert process.returncode == 1 and "run 1 ended with exit code 1: failed: the fitness" in said
    assert (tmp_path / "failing" / "1" / "summary.json").exists()


@pytest.mark.long
def test_a_sweep_is_done_only_once_its_folder_holds_all_of_it(podmeta, tmp_path):
    def sweep(num_updates):
        arguments = ("train", *SMALL, f"num_updates={num_updates}", "seed=0,1", f"run_dir={tmp_path}", "--multirun")
        return podmeta.succeeds(*arguments, COLUMNS="200")

    def tested(number):
        rows = read_rows(tmp_path / number / "evaluation.jsonl")
        return {(row["update"], row["meta_params_sha256"]) for row in rows}

    sweep(4)
    first = digest(tmp_path / "0")
    assert "run 1 of 2" not in sweep(4) and tested("0") == {(4, first)}
    # What Ctrl-C in the meta-test leaves: the trained run without rows, or with rows about some settings only.
    (tmp_path / "0" / "evaluation.jsonl").unlink()
    said = sweep(4)
    assert "nothing left to train: update 4 is done" in said and "run 2 of 2" not in said
    assert tested("0") == {(4, first)}
    # More updates: the runs go on, and neither table nor rows are of the earlier θ.
    said = sweep(8)
    assert [line.split("│")[3].split() for line in said.splitlines() if "seed=" in line and "│" in line] == [["8"]] * 2
    assert tested("0") == {(8, digest(tmp_path / "0"))} and digest(tmp_path / "0") != first


@pytest.mark.long
@pytest.mark.parametrize(
    ("swept", "told"),
    [(["seed=2,3"], "seed: 0 there, 2 now"), (["seed=0,1", "outer.learning_rate=0.5"], "outer.learning_rate: ")],
)
def test_a_sweep_in_the_folder_of_another_is_refused_with_the_keys_that_differ(swept, told, refused, tmp_path):
    for number in ("0", "1"):
        path = tmp_path / number
        path.mkdir()
        (path / "config.yaml").write_text(
            job_to_yaml(compose_job([*SMALL, f"seed={number}", f"run_dir={path}"])), encoding="utf-8"
        )
        (path / "summary.json").write_text("{}", encoding="utf-8")
    said = refused("train", *SMALL, *swept, f"run_dir={tmp_path}", "--multirun")
    assert told in said and f"run_dir {tmp_path / '0'} holds a run with another config" in said


@pytest.mark.long
def test_a_stopped_sweep_goes_on_where_it_was(podmeta, tmp_path):
    arguments = ("train", *JOB, "num_updates=100000", "seed=1,2", f"run_dir={tmp_path}", "--multirun")
    process = podmeta.start(*arguments)
    read_until(process, "run directory")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert (
        re.search(f"to resume: podmeta train .*run_dir={re.escape(str(tmp_path))}", errors)
        and "run 2 of 2" not in errors
    )
    podmeta.succeeds("train", *JOB, "num_updates=8", "seed=1,2", f"run_dir={tmp_path}", "--multirun")
    assert all((tmp_path / number / "summary.json").exists() for number in ("0", "1"))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["seed=0,1"], ["seed=0,1", "--multirun"]),
        (["seed=0,-1", "--multirun"], ["seed=-1"]),
        (["run_dir=a,b", "--multirun"], ["needs a key with several values"]),
        (["seed=0,1", "--multirun", "--jobs", "0"], ["--jobs 0", "at least 1"]),
        (["seed=0", "--jobs", "2"], ["--jobs 2", "--multirun"]),
    ],
)
def test_wrong_sweeps_are_told_before_anything_starts(overrides, parts, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "experiment=bandit", *overrides]) == 2
    told = capsys.readouterr().err
    assert [part for part in parts if part not in told] == [], told
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_killed_search_goes_on_with_the_trials_that_it_had_begun(podmeta, tmp_path):
    pytest.importorskip("optuna")
    tested = ("evaluation.enabled=false", "evaluation.every_updates=4", "evaluation.periodic_tasks=4")
    arguments = ("train", *TINY, "num_updates=20", *tested, "outer.learning_rate=interval(0.01,0.1)")
    arguments += (f"run_dir={tmp_path}", "--multirun", "--trials", "3", "--jobs", "2")
    process = podmeta.start(*arguments)
    read_until(process, "trial 1 of 3")
    end = time.monotonic() + 120
    while not (tmp_path / "0" / "heartbeat.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    said = podmeta.succeeds(*arguments, COLUMNS="200")
    assert len(re.findall(r"trial \d is done: ", said)) == 3 and said.count("│ complete │") == 3
    for number in ("0", "1", "2"):
        assert digest(tmp_path / number)
        assert [row["update"] for row in read_rows(tmp_path / number / "metrics.jsonl")] == [4, 8, 12, 16, 20]
