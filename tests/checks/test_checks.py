"""Every check passes on a small setting, and a wrong value makes the check that measured it fail, and no other."""

import importlib
import json
import math

import jax
import pytest

from podmeta.checks import CHECKS
from podmeta.checks.base import Figure, Setting
from podmeta.checks.run import make_setting, run_checks
from podmeta.cli import main

SMALL = Setting(
    num_devices=4,
    matmul_precisions=("float32",),
    num_updates=2,
    num_bytes=4096,
    gemm_size=64,
    lstm_updates=64,
    environments=(64,),
    instances=(1, 2),
    deadline=math.inf,
)
QUICK = ("devices", "division")


def module_of(name):
    return importlib.import_module(f"podmeta.checks.{name}")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in CHECKS]
)
def test_a_check_passes_here(name, monkeypatch):
    monkeypatch.setattr("podmeta.checks.throughput.SIZES", [(1, 2)])
    figures = module_of(name).measure(SMALL)
    assert [figure for figure in figures if not figure.holds] == []
    assert any(figure.at_most is not None for figure in figures)


@pytest.fixture
def canned(monkeypatch):
    """Replaces what all checks measure: two figures each, one of them with a tolerance. Returns them by check."""
    figures = {name: [Figure("error", 0.5, at_most=1.0), Figure("rate", 3.0, "1/s")] for name in CHECKS}
    for name in CHECKS:
        monkeypatch.setattr(module_of(name), "measure", lambda setting, name=name: figures[name])
    monkeypatch.setattr("podmeta.distributed.devices.set_up_devices", lambda number: None)
    monkeypatch.setattr("podmeta.distributed.compilation_cache.use_compilation_cache", lambda setting: [])
    return figures


@pytest.fixture
def checked(tmp_path, capsys):
    """Runs the command; returns its exit code, what it wrote, and what it printed."""

    def check(*words):
        path = tmp_path / "check.json"
        code = main(["check", f"to={path}", *words])
        output = capsys.readouterr()
        return code, json.loads(path.read_text(encoding="utf-8")), output.out, output.err

    return check


def test_all_checks_pass(canned, checked):
    code, written, printed, _ = checked()
    assert (code, written["passed"]) == (0, True)
    assert [check["name"] for check in written["checks"]] == list(CHECKS)
    assert written["checks"][0]["figures"][1] == {
        "name": "rate",
        "value": 3.0,
        "unit": "1/s",
        "at_most": None,
        "setting": {},
    }
    assert [name for name in CHECKS if name not in printed] == []
    assert written["environment"]["devices"] == [f"cpu {device.id} (cpu)" for device in jax.local_devices()]


@pytest.mark.long
@pytest.mark.parametrize("wrong", [1.01, math.nan, math.inf])
@pytest.mark.parametrize("name", CHECKS)
def test_a_wrong_value_makes_its_check_fail_and_no_other(canned, checked, name, wrong):
    canned[name][0] = Figure("error", wrong, at_most=1.0, setting={"job": "some"})
    code, written, _, said = checked()
    assert (code, written["passed"]) == (1, False)
    assert [check["name"] for check in written["checks"] if not check["passed"]] == [name]
    assert f"failed: check {name}: error, job=some: {wrong:.4g} (at most 1)" in said
    (figure,) = [figure for check in written["checks"] for figure in check["figures"] if figure["setting"]]
    assert figure["value"] == (wrong if math.isfinite(wrong) else str(wrong))


def test_a_check_that_cannot_run_fails_and_the_others_run(canned, checked, monkeypatch):
    def broken(setting):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(module_of("resume"), "measure", broken)
    code, written, _, said = checked()
    assert code == 1
    assert [check["passed"] for check in written["checks"]] == [name != "resume" for name in CHECKS]
    assert "failed: check resume: RuntimeError: no such kernel" in said


def test_a_check_that_there_is_no_time_for_fails(canned):
    results = run_checks(["devices"], make_setting(deadline=0.0), lambda line: None)
    assert [(result.passed, "minutes" in result.problem) for result in results] == [(False, True)]


def test_some_of_the_checks_run_in_their_order(canned, checked):
    _, written, _, _ = checked("only=resume,devices")
    assert [check["name"] for check in written["checks"]] == ["devices", "resume"]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("only=devices,nothing", ["'nothing'", "devices", "throughput"]),
        ("minutes=0", ["minutes=0", "positive"]),
        ("minutes=soon", ["minutes=soon"]),
        ("devices.cpu=1.5", ["devices.cpu=1.5", "whole number"]),
        ("to=/nowhere/check.json", ["/nowhere"]),
        ("seed=1", ["'seed=1'", "podmeta check --help"]),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(word, parts, capsys):
    assert main(["check", word]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert [part for part in parts if part not in said] == []
