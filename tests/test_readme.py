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
    """Runs the README's Python from a fresh process; returns what it printed."""

    def run():
        script = tmp_path / "readme.py"
        script.write_text("\n".join(re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)))
        finished = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def test_learned_algorithms_live_in_environments_of_gymnasium_and_of_dm_env(run_python):
    printed = run_python()
    assert int(re.search(r"(\d+) in the last 200", printed)[1]) <= 5  # at random it would be 8 or 9
    assert re.search(r"catch: -\d+ in the first 200 env steps, -?\d+ in the last 200", printed)


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
