"""The README is short, its code runs as it stands, and its commands name what exists."""

import re
import shlex
from pathlib import Path

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.sweeps import expand_sweep

README = Path(__file__).parents[1] / "README.md"


def test_the_algorithm_of_the_example_learns_from_reward_and_not_where_rewards_are_zeroed(run_document):
    """Over 20 seeds the last 40 pulls earned 0.66 to 0.94 each with rewards, and 0.38 to 0.58 without."""
    printed = run_document(README)
    last = {
        name: float(value)
        for name, value in re.findall(r"^(\w+): .* and ([\d.]+) in the last 40", printed, re.MULTILINE)
    }
    assert last["rewards"] > last["zeros"]


def test_train_commands_compose():
    commands = re.findall(r"^    podmeta train (.+=.+)$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        swept = "--multirun" in command
        overrides = [override for override in shlex.split(command, comments=True) if override != "--multirun"]
        for job in expand_sweep(overrides) if swept else [overrides]:
            compose_job(job)


def test_it_is_read_in_a_few_minutes():
    assert len(README.read_text(encoding="utf-8").split()) < 1000


def test_every_experiment_is_in_the_table():
    text = (README.parent / "docs" / "experiments.md").read_text(encoding="utf-8")
    for name in list_options("experiment"):
        assert f"| `{name}` |" in text
