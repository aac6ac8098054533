"""The README's code runs as it stands, and its commands name what exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.sweeps import expand_sweep

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def run_python(tmp_path):
    """Runs the n-th piece of Python from a fresh process; returns what it printed."""

    def run(index):
        script = tmp_path / "readme.py"
        script.write_text(re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)[index])
        finished = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def test_a_learned_algorithm_learns(run_python):
    last = int(re.search(r"(\d+) in the last 200", run_python(0))[1])
    assert last <= 5  # at random it would be 8 or 9


def test_an_environment_and_a_learner_of_ones_own_train(run_python):
    average = float(re.search(r"pays (\d\.\d+)", run_python(1))[1])
    assert average > 0.4


def test_train_commands_compose():
    commands = re.findall(r"^    podmeta train (.+=.+)$", README.read_text(), flags=re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        swept = "--multirun" in command
        overrides = [override for override in shlex.split(command, comments=True) if override != "--multirun"]
        for job in expand_sweep(overrides) if swept else [overrides]:
            compose_job(job)


def test_every_experiment_is_in_the_table():
    text = README.read_text()
    for name in list_options("experiment"):
        assert f"| `{name}` |" in text
