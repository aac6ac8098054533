"""Experiments, suites and folders of presets of the user's own."""

import dataclasses

import pytest

from podmeta.cli import main
from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.presets import config_folders_added, list_options
from podmeta.config.suites import load_suite
from podmeta.errors import InputError

EXPERIMENT = """
defaults:
  - bandit
  - _self_
num_updates: 7
environment: {num_arms: 3}
"""
OF_A_FACTORY = """
environment: {factory: 'mine:make', options: {size: 3}}
learner: {factory: 'mine:make_learner'}
"""
ON_HOST = """
defaults:
  - override /environment: envpool_cartpole
"""
SUITE = """
settings:
  - {environment: bandit, num_arms: 3}
  - {environment: factory, factory: 'mine:make'}
  - {environment: gymnasium/mine:Maze-v0}
num_tasks: 5
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_experiment_of_a_file(folder):
    (folder / "my job.yaml").write_text(EXPERIMENT, encoding="utf-8")
    job = compose_job(["experiment=./my job.yaml", "seed=3"])
    bandit = compose_job(["experiment=bandit"])
    assert (job.num_updates, job.environment.num_arms, job.seed, job.experiment_name) == (7, 3, 3, "bandit")
    assert job.outer == bandit.outer and job.evaluation == bandit.evaluation


def test_an_experiment_of_a_file_may_name_functions_only(folder):
    (folder / "mine.yaml").write_text(OF_A_FACTORY, encoding="utf-8")
    job = compose_job([f"experiment={folder / 'mine.yaml'}"])
    assert (job.environment.factory, job.environment.options) == ("mine:make", {"size": 3})
    assert (job.learner.factory, job.experiment_name) == ("mine:make_learner", "mine")


def test_an_experiment_of_a_file_gets_the_architecture_of_its_environment(folder):
    (folder / "mine.yaml").write_text(ON_HOST, encoding="utf-8")
    assert compose_job(["experiment=mine.yaml"]).architecture.name == "sebulba"
    assert compose_job(["experiment=mine.yaml", "environment=bandit"]).architecture.name == "anakin"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "experiment=mine.yaml cannot be read: No such file"),
        ("a: [", "experiment=mine.yaml is not YAML"),
        ("- a", "experiment=mine.yaml is not a mapping"),
        ("defaults: [nothing]", "mine.yaml starts from the experiment nothing, which does not exist"),
        ("num_update: 3", "num_updates"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(folder, content, message):
    if content is not None:
        (folder / "mine.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        compose_job(["experiment=mine.yaml"])


def test_a_suite_of_a_file_and_what_it_names_is_the_users_word(folder):
    (folder / "mine.yaml").write_text(SUITE, encoding="utf-8")
    suite = load_suite("./mine.yaml", compose_job(["experiment=bandit"]))
    assert suite.name == "mine" and suite.num_tasks == 5 and len(suite.settings) == 3
    assert {"mine:make", "mine:Maze-v0"} <= suite.own_texts
    assert not load_suite("held_out", compose_job(["experiment=bandit"])).own_texts
    (folder / "mine.yaml").write_text("setting: []", encoding="utf-8")
    with pytest.raises(InputError, match=r"suite=\./mine.yaml: unknown config key 'setting'"):
        load_suite("./mine.yaml", compose_job(["experiment=bandit"]))


@pytest.mark.parametrize("command", ["evaluate run", "report run", "export run to=mine.npz", "train run_dir=run"])
def test_commands_read_a_run_that_names_presets_of_a_folder(folder, command, capsys):
    (folder / "conf" / "environment").mkdir(parents=True)
    (folder / "conf" / "environment" / "my_arms.yaml").write_text("defaults:\n  - bandit\n", encoding="utf-8")
    (folder / "run").mkdir()
    job = compose_job(["experiment=bandit"])
    settings = [{"environment": "my_arms"}]
    job = dataclasses.replace(job, evaluation=dataclasses.replace(job.evaluation, settings=settings))
    (folder / "run" / "config.yaml").write_text(job_to_yaml(job), encoding="utf-8")
    assert main(command.split()) != 0
    assert "my_arms" in capsys.readouterr().err
    main([*command.split(), "--config-dir", "conf", *(["--cfg", "job"] if command.startswith("train") else [])])
    assert "my_arms does not exist" not in capsys.readouterr().err


def test_a_folder_of_presets(folder):
    for group, name, content in [
        ("experiment", "mine", "# @package _global_\n# Mine.\ndefaults:\n  - override /environment: my_arms\n"),
        ("environment", "my_arms", "defaults:\n  - bandit\nnum_arms: 9\n"),
        ("evaluation", "my_suite", "settings:\n  - {environment: my_arms}\n"),
    ]:
        (folder / "it's conf" / group).mkdir(parents=True, exist_ok=True)
        (folder / "it's conf" / group / f"{name}.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="environment=my_arms does not exist"):
        compose_job(["environment=my_arms"])
    with config_folders_added([folder / "it's conf"]):
        assert list_options("experiment")["mine"] == "Mine."
        assert compose_job(["environment=my_arms"]).environment.num_arms == 9
        job = compose_job(["experiment=mine"])
        assert load_suite("my_suite", job).settings[0].environment.num_arms == 9
    assert "mine" not in list_options("experiment")
    with pytest.raises(InputError, match="environment=my_arms does not exist"):
        compose_job(["environment=my_arms"])
    with (
        pytest.raises(InputError, match=r"--config-dir .*nowhere is not a folder"),
        config_folders_added([folder / "nowhere"]),
    ):
        pass
