"""The README's code runs as it stands, and its commands name what exists."""

import re
import subprocess
import sys
from pathlib import Path

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options

README = Path(__file__).parents[1] / "README.md"


def test_python_runs_and_learns(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text(code)
    finished = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert finished.returncode == 0, finished.stderr
    average = float(re.search(r"pays (\d\.\d+)", finished.stdout)[1])
    assert average > 0.4


def test_train_commands_compose():
    commands = re.findall(r"^    podmeta train (.+=.+)$", README.read_text(), flags=re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        compose_job(command.split())


def test_every_experiment_is_in_the_table():
    text = README.read_text()
    for name in list_options("experiment"):
        assert f"| `{name}` |" in text
