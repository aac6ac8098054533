"""The README's code runs as it stands, and its commands name what exists."""

import re
import shlex
from pathlib import Path

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.sweeps import expand_sweep

README = Path(__file__).parents[1] / "README.md"


def test_learned_algorithms_live_in_environments_of_gymnasium_and_of_dm_env(run_document):
    """What they earn differs from seed to seed and from CPU to CPU, so only its range is known."""
    printed = run_document(README)
    failures = re.search(r"^(\d+) failures in the first 200 env steps, (\d+) in the last 200$", printed, re.MULTILINE)
    assert all(0 <= int(number) <= 25 for number in failures.groups())  # no episode of CartPole ends before 8 steps
    catch = re.search(r"^catch: (-?\d+) in the first 200 env steps, (-?\d+) in the last 200$", printed, re.MULTILINE)
    assert all(-23 <= int(number) <= 23 for number in catch.groups())  # an episode of catch takes 9 steps, and a reset


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
