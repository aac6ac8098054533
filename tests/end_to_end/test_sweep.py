"""Sweeps: real processes, one after the other."""

import signal

import pytest

from podmeta.cli import main
from tests.end_to_end.job import JOB, TINY, read_until

SMALL = (*TINY, "num_updates=4", "evaluation.settings=[{}]")


def test_a_sweep_trains_every_combination_and_ends_with_a_table(podmeta, tmp_path):
    said = podmeta.succeeds(
        "train", *SMALL, "outer.learning_rate=0.01,0.03", f"run_dir={tmp_path}", "--multirun", COLUMNS="200"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
    assert "learning_rate: 0.03" in (tmp_path / "1" / "config.yaml").read_text()
    table = [line for line in said.splitlines() if "│" in line and "outer.learning_rate=" in line]
    assert len(table) == 2 and all("regret" in line for line in table)


def test_a_stopped_sweep_goes_on_where_it_was(podmeta, tmp_path):
    arguments = ("train", *JOB, "num_updates=100000", "seed=1,2", f"run_dir={tmp_path}", "--multirun")
    process = podmeta.start(*arguments)
    read_until(process, "run directory")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert f"give the same command with run_dir={tmp_path}" in errors and "run 2 of 2" not in errors
    podmeta.succeeds("train", *JOB, "num_updates=8", "seed=1,2", f"run_dir={tmp_path}", "--multirun")
    assert all((tmp_path / number / "summary.json").exists() for number in ("0", "1"))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["seed=0,1"], ["seed=0,1", "--multirun"]),
        (["seed=0,-1", "--multirun"], ["seed=-1"]),
        (["run_dir=a,b", "--multirun"], ["run_dir"]),
    ],
)
def test_wrong_sweeps_are_told_before_anything_starts(overrides, parts, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "experiment=bandit", *overrides]) == 2
    told = capsys.readouterr().err
    assert [part for part in parts if part not in told] == [], told
    assert not list(tmp_path.iterdir())
