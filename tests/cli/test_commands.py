"""The commands together: flags, words, and errors in one line."""

import subprocess
import sys

import pytest

import podmeta
from podmeta.cli import main
from podmeta.cli.commands import COMMANDS, make_parser

NAMES = ("train", "status", "watch", "evaluate", "compare", "report", "export", "play", "list", "bench", "check")
NAMES += ("plan",)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_names_every_command(arguments, capsys):
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert len(COMMANDS) == len(NAMES)
    assert [name for name in NAMES if f"\n    {name} " not in shown] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_begins_with_its_form(name, capsys):
    assert main([name, "some=word", "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: podmeta {name}")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["trian"], ["'trian'", "train", "podmeta --help"]),
        (["--trust"], ["COMMAND", "podmeta --help"]),
        (["train", "--seed=1"], ["'--seed=1'", "KEY=VALUE", "podmeta train --help"]),
        (["compare", "a", "--trust"], ["'--trust'", "podmeta compare --help"]),
        (["evaluate", "run=a", "--tru"], ["'--tru'", "podmeta evaluate --help"]),
        (["plan", "--json=1"], ["--json", "podmeta plan --help"]),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line(arguments, parts, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert [part for part in parts if part not in said] == [], said


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"podmeta {podmeta.__version__}\n"


def test_python_runs_the_package_as_the_command():
    done = subprocess.run([sys.executable, "-m", "podmeta", "--version"], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout) == (0, f"podmeta {podmeta.__version__}\n")


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_words_keep_their_order_around_flags_and_may_be_anything_that_does_not_begin_with_a_dash(flag):
    words = ["seed=-1", "+environment.options={a: -2}", "~stages", "learner.hidden_layers=[1, 2]", "a--b", "x y", "="]
    flags, others = make_parser().parse_known_args(["train", *words[:2], flag, *words[2:]])
    assert others == words and flags.multirun


def test_a_command_that_fails_in_an_unforeseen_way_shows_where(monkeypatch, capsys):
    monkeypatch.setattr("podmeta.config.compose.compose_job", lambda overrides: {}["nothing"])
    assert main(["train"]) == 1
    assert "KeyError: 'nothing'" in capsys.readouterr().err


def test_training_says_that_it_starts_before_it_imports_anything_slow():
    command = [sys.executable, "-X", "importtime", "-m", "podmeta", "train", "experiment=nothing"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    before, line, after = done.stderr.partition("podmeta: composing the job, then starting JAX\n")
    assert line and done.returncode == 2
    imported = {row.rpartition("|")[2].strip() for row in before.splitlines()}
    assert "podmeta.utf8" in imported
    assert not imported & {"jax", "numpy", "hydra", "omegaconf", "rich.console"}
    assert "error: experiment=nothing does not exist" in after
