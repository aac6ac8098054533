"""What an installed package adds: tests/example_plugin, in its metadata and as it is installed."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from podmeta.config import plugins
from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options, member_of
from podmeta.config.schema import FactoryConfig, LearnerFactoryConfig, OuterFactoryConfig

SOURCE = Path(__file__).parents[1] / "example_plugin"
PARTS = "example_plugin.parts"


@pytest.fixture
def plugin(monkeypatch):
    """The example package on the path, with its entry points."""
    points = {
        "podmeta.environments": {"example_arms": f"{PARTS}:OneArmPays"},
        "podmeta.learners": {"example_leaning": f"{PARTS}:make_learner"},
        "podmeta.outer_loops": {"example_best_of": f"{PARTS}:BestOf"},
        "podmeta.configs": {"example_plugin": "example_plugin.configs"},
    }
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [EntryPoint(*point, group) for point in points.get(group, {}).items()]
    )
    monkeypatch.syspath_prepend(SOURCE)
    for cached in (plugins.named_factories, plugins.config_folders):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (plugins.named_factories, plugins.config_folders):
        cached.cache_clear()


def test_its_names_are_choices(plugin):
    assert list_options("environment")["example_arms"] == f"{PARTS}:OneArmPays, of an installed package"
    assert list_options("environment")["example_four_arms"] == "Four arms, of which one pays."
    assert "example" in list_options("experiment") and "example_suite" in list_options("evaluation")
    assert member_of("environment", "example_four_arms") is FactoryConfig


def test_its_names_compose_and_nothing_of_it_is_imported(plugin):
    job = compose_job(["environment=example_arms", "environment.options.num_arms=3", "learner=example_leaning"])
    assert job.environment == FactoryConfig(factory=f"{PARTS}:OneArmPays", options={"num_arms": 3})
    assert job.learner == LearnerFactoryConfig(factory=f"{PARTS}:make_learner")
    assert "example_plugin" not in sys.modules


def test_its_experiment_composes(plugin):
    job = compose_job(["experiment=example"])
    assert (job.environment.options, job.environment.lifetime_length) == ({"num_arms": 4}, 20)
    assert job.outer == OuterFactoryConfig(factory=f"{PARTS}:BestOf", slots=8)
    swapped = compose_job(["experiment=example", "outer=evolution"])
    assert swapped.outer.name == "evolution"


def test_without_it_none_of_its_names_are_there():
    assert "example_arms" not in list_options("environment") and "example" not in list_options("experiment")


@pytest.mark.long
def test_installed_its_names_are_in_the_help_and_train(tmp_path):
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(SOURCE, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    variables = os.environ | {"PYTHONPATH": f"{target}{os.pathsep}{Path(__file__).parents[2]}"}

    def podmeta(*words: str) -> str:
        command = [sys.executable, "-m", "podmeta", *words]
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    said = podmeta("train", "--help")
    assert all(name in said for name in ("example_arms", "example_leaning", "example_best_of", "example_four_arms"))
    assert "example_suite" in podmeta("evaluate", "--help")
    podmeta("train", "experiment=example", "run_dir=run", "devices.cpu=1", "evaluation.num_tasks=8")
    podmeta("evaluate", "run", "suite=example_suite", "devices.cpu=1")
