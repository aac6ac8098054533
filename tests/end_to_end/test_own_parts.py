"""A user's own environment, learner and outer loop, from a folder outside the checkout, through every command."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dm_env import specs

import podmeta
from podmeta.errors import InputError
from tests.end_to_end.test_damaged_runs import command, unchanged_settings

OWN = Path(__file__).parents[1] / "example_plugin" / "example_plugin" / "parts.py"
PARTS = (
    "environment.factory=my_parts:OneArmPays",
    "environment.options={num_arms: 4}",
    "environment.lifetime_length=20",
    "learner.factory=my_parts:make_learner",
    "learner.options={scale: 2.0}",
    "outer.factory=my_parts:BestOf",
    "outer.slots=16",
    "outer.lifetimes_per_member=4",
)
JOB = (*PARTS, "devices.cpu=4", "architecture.updates_per_call=5", "evaluation.num_tasks=64", "logging.progress=false")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's folder, in which a run has been trained for 5 of 20 updates and then to its end."""
    path = tmp_path_factory.mktemp("mine")
    shutil.copy(OWN, path / "my_parts.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr(sys, "path", list(sys.path))
        with unchanged_settings():
            for num_updates in (5, 20):
                code, said = command("train", *JOB, f"num_updates={num_updates}", "run_dir=runs/first")
                assert code == 0, said
            yield path
    sys.modules.pop("my_parts", None)


@pytest.mark.long
def test_it_learns_and_the_meta_test_says_so(folder):
    lines = (folder / "runs/first/evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    by_algorithm = {row["algorithm"]: row["mean"] for row in rows if row["metric"] == "return"}
    assert by_algorithm["learner"] > 1.3 * by_algorithm["random"]


def test_a_run_that_went_on_is_as_one_that_was_not_interrupted(folder):
    code, said = command("train", *JOB, "num_updates=20", "run_dir=runs/whole", "evaluation.enabled=false")
    assert code == 0, said
    digests = [
        json.loads((folder / f"runs/{name}/summary.json").read_text(encoding="utf-8"))["meta_params_sha256"]
        for name in ("first", "whole")
    ]
    assert digests[0] == digests[1]


def test_the_run_alone_goes_on(folder):
    code, said = command("train", "run_dir=runs/first")
    assert code == 0 and "nothing left to test" in said, said


@pytest.mark.long
def test_evaluate_and_report(folder):
    code, said = command("evaluate", "runs/first", "evaluation.num_tasks=8", "environment.options.num_arms=2")
    assert code == 0, said
    code, said = command("report", "runs/first", "to=report.html")
    assert code == 0 and (folder / "report.html").stat().st_size > 10_000, said


def test_export_and_load_agent(folder):
    code, said = command("export", "runs/first", "to=mine.npz")
    assert code == 0, said
    spaces = specs.Array((1,), "float32"), specs.DiscreteArray(4)
    podmeta.load_agent("runs/first").reset(*spaces, seed=0)
    with pytest.raises(InputError, match="trust=True"):
        podmeta.load_agent("mine.npz")
    podmeta.load_agent("mine.npz", trust=True).reset(*spaces, seed=0)
    code, said = command("play", "agent=mine.npz", "environment.factory=my_parts:OneArmPays", "--trust")
    assert code == 0, said


def test_in_python(folder):
    run = podmeta.train(*JOB, "num_updates=5", "run_dir=runs/python")
    assert run.job.environment.name == "jax_factory" and run.metrics["update"][-1] == 5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["learner.factory=my_parts:nothing"], "learner.factory=my_parts:nothing: my_parts has no nothing"),
        (["learner.options={size: 1}"], "learner.options: my_parts:make_learner cannot be called with"),
        (["outer.factory=my_parts:make_learner"], "returned a Learner, but must return a podmeta.outer.base.OuterLoop"),
        (["outer.factory=my_parts:OneArmPays"], "outer.options: my_parts:OneArmPays cannot be called"),
        (["learner.factory=my_part:make_learner"], "my_part cannot be imported"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(folder, overrides, message):
    code, said = command("train", *JOB, "num_updates=1", "run_dir=runs/none", *overrides)
    *header, line = said.splitlines()
    assert code == 2 and message in line, said
    assert all(each.startswith(("experiment: ", "environment: ", "learner: ")) for each in header), said
    assert not (folder / "runs/none").exists()
