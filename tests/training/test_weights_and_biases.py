"""Weights & Biases, by a module in its place: it may fail to start, in the middle and at the end."""

import json
import shutil
import sys
import types

import pytest

from podmeta.config.compose import compose_job
from podmeta.errors import InputError
from podmeta.storage.provenance import describe_provenance
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import read_summary
from podmeta.training.loop import train
from podmeta.training.metrics import MetricsWriter
from podmeta.training.weights_and_biases import add_results
from tests.end_to_end.job import TINY

CONFIG = "experiment_name: bandit\nnum_updates: 100\n"


class Run:
    """A run that fails in one of its methods, or in none."""

    def __init__(self, fails_in):
        self.fails_in, self.rows, self.has_finished, self.summary = fails_in, [], False, {}
        self.url = "https://wandb.ai/me/mine/runs/1"

    def log(self, scalars, step):
        if self.fails_in == "log":
            raise ConnectionError("the network is gone\nand more")
        self.rows.append((step, scalars))

    def finish(self):
        self.has_finished = True
        if self.fails_in == "finish":
            raise RuntimeError("cannot be sent")


@pytest.fixture
def wandb(monkeypatch):
    module = types.ModuleType("wandb")
    module.inits, module.fails_in = [], None

    def init(**arguments):
        module.inits.append(arguments)
        if module.fails_in == "init":
            raise ValueError("api_key not configured (no-tty). call wandb.login(key=[your_api_key])")
        module.run = Run(module.fails_in)
        return module.run

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


@pytest.fixture
def run(tmp_path):
    with RunDirectory(tmp_path / "run", CONFIG) as run_directory:
        run_directory.config_path.write_text(CONFIG, encoding="utf-8")
        yield run_directory


def start(path):
    """A start of a job that logs to Weights & Biases, in a run directory; what it warned of."""
    warnings = []
    with RunDirectory(path, CONFIG) as run_directory:
        run_directory.write_start(describe_provenance([]))
        MetricsWriter(run_directory, wandb_project="mine", warn=warnings.append).close()
    return warnings


def rows_of(run):
    return [json.loads(line)["update"] for line in run.metrics_path.read_text(encoding="utf-8").splitlines()]


def test_it_gets_the_numbers_of_every_row(wandb, run):
    with MetricsWriter(run, wandb_project="mine") as metrics:
        metrics.write({"update": 5, "fitness_mean": 0.5, "by_instance": [1.0, 2.0], "name": "text"})
    tagged = {"train/fitness_mean": 0.5, "train/by_instance/0": 1.0, "train/by_instance/1": 2.0}
    assert wandb.run.rows == [(5, tagged)]
    assert wandb.run.has_finished
    assert wandb.inits[0]["project"] == "mine" and wandb.inits[0]["name"] == "bandit"


def test_a_job_that_goes_on_has_one_run(wandb, tmp_path):
    assert start(tmp_path / "run") == start(tmp_path / "run") == []
    first, second = wandb.inits
    assert first["id"] == second["id"]


@pytest.mark.parametrize("fails_in", [None, "init", "finish"])
def test_results_are_added_to_the_summary_of_the_run_or_a_warning_says_why_not(wandb, tmp_path, fails_in):
    start(tmp_path / "run")
    wandb.fails_in = fails_in
    warnings = []
    add_results(tmp_path / "run", "mine", {"eval/regret": 1.5}, warnings.append)
    first, second = wandb.inits
    assert first["id"] == second["id"] and second["project"] == "mine"
    if fails_in is None:
        assert wandb.run.summary == {"eval/regret": 1.5} and wandb.run.has_finished and not warnings
    else:
        assert len(warnings) == 1 and "evaluation.jsonl has them" in warnings[0] and "\n" not in warnings[0]


def test_the_results_of_a_run_that_has_logged_nothing_go_nowhere(wandb, run):
    add_results(run.path, "mine", {"eval/regret": 1.5}, pytest.fail)
    assert not wandb.inits


def test_the_summary_of_a_run_has_its_address(wandb, tmp_path):
    train(compose_job([*TINY, "num_updates=4", "logging.wandb=true", f"run_dir={tmp_path}"]), lambda line: None)
    assert read_summary(tmp_path).wandb_url == "https://wandb.ai/me/mine/runs/1"


@pytest.mark.parametrize("theirs", ["with its config", "alone"])
def test_the_run_of_somebody_else_is_not_joined(wandb, tmp_path, theirs):
    start(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    if theirs == "alone":
        for path in (tmp_path / "copy").iterdir():
            path.unlink() if path.name != "wandb_id" and path.is_file() else None
    [warning] = start(tmp_path / "copy")
    first, second = (arguments["id"] for arguments in wandb.inits)
    assert first != second and f"WANDB_RUN_ID={first}" in warning
    assert start(tmp_path / "copy") == [] and wandb.inits[-1]["id"] == second


def test_the_user_may_name_the_run(wandb, tmp_path, monkeypatch):
    start(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    monkeypatch.setenv("WANDB_RUN_ID", wandb.inits[0]["id"])
    assert start(tmp_path / "copy") == [] and wandb.inits[1]["id"] == wandb.inits[0]["id"]


def test_a_run_id_that_is_no_name_is_not_shown(wandb, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb_id").write_text("\x1b[2J", encoding="utf-8")
    [warning] = start(tmp_path / "run")
    assert "\x1b" not in warning and "WANDB_RUN_ID" not in warning


def test_without_a_key_a_line_names_the_cures_before_training_starts(wandb, run):
    wandb.fails_in = "init"
    with pytest.raises(InputError) as caught:
        MetricsWriter(run, wandb_project="mine")
    message = str(caught.value)
    assert "\n" not in message and "api_key not configured" in message
    for cure in ("wandb login", "WANDB_API_KEY", "WANDB_MODE=offline", "logging.wandb=false"):
        assert cure in message


@pytest.mark.parametrize(
    ("fails_in", "said"),
    [("log", "takes no rows from update 5 on: the network is gone."), ("finish", "did not end well: cannot be sent.")],
)
def test_what_fails_later_is_said_once_and_no_row_is_lost(wandb, run, fails_in, said):
    wandb.fails_in = fails_in
    warnings = []
    with MetricsWriter(run, wandb_project="mine", warn=warnings.append) as metrics:
        for update in (5, 10):
            metrics.write({"update": update, "fitness_mean": 0.5})
    assert rows_of(run) == [5, 10]
    assert len(warnings) == 1 and said in warnings[0] and "metrics.jsonl has every row" in warnings[0]
