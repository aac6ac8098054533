"""`podmeta bench`: its names stand in one place, and whatever else names a benchmark names one of these."""

import importlib.util
import re
from pathlib import Path

import pytest

from podmeta.benchmarks import BENCHMARKS
from podmeta.cli import main

REPOSITORY = Path(__file__).parents[2]
PLACES = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md", *(REPOSITORY / "podmeta").rglob("*.py")]


def test_every_benchmark_has_a_module_and_a_place_in_the_benchmarks_page():
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    scaling = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")
    for name in BENCHMARKS:
        assert importlib.util.find_spec(f"podmeta.benchmarks.{name}") is not None
        assert f"podmeta bench {name}" in page + scaling


def test_whatever_names_a_benchmark_names_one_that_exists():
    named = {
        name for path in PLACES for name in re.findall(r"podmeta bench ([a-z]+)", path.read_text(encoding="utf-8"))
    }
    assert named == set(BENCHMARKS)


def test_help_and_errors_name_all(capsys):
    for arguments, code in ((["--help"], 0), (["bench", "--help"], 0), (["bench", "everything"], 2), (["bench"], 2)):
        assert main(arguments) == code
        shown = "".join(capsys.readouterr())
        assert [name for name in BENCHMARKS if name not in shown] == []


@pytest.mark.parametrize("words", [["core", "anakin"], ["core", "x=1"]])
def test_one_benchmark_is_run_at_a_time(words, capsys):
    assert main(["bench", *words]) == 2
    assert "name one benchmark" in capsys.readouterr().err


def test_the_benchmark_of_the_name_is_run(monkeypatch):
    import podmeta.benchmarks.agent

    ran = []
    monkeypatch.setattr(podmeta.benchmarks.agent, "bench_agent", lambda: ran.append("agent"))
    assert main(["bench", "agent"]) == 0
    assert ran == ["agent"]
