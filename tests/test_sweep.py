"""What a sweep says of runs that it trained beside one another."""

import pytest

from podmeta import sweep
from podmeta.config.compose import compose_job
from podmeta.sweep import SweepRun, run_sweep


class Run(SweepRun):
    """A run that a test ends."""

    def is_done(self):
        return (self.run_path / "done").exists()


@pytest.fixture
def runs(tmp_path):
    """Two runs that have not begun."""
    job = compose_job(["experiment=bandit"])
    for name in "01":
        (tmp_path / name).mkdir()
    return [Run(["experiment=bandit"], [f"seed={name}"], tmp_path / name, job) for name in "01"]


def test_a_run_that_stopped_before_its_end_is_not_called_done(runs, monkeypatch):
    def train_one_and_stop_the_other(commands, num_at_once, began, ended):
        for index in range(len(commands)):
            began(index)
        (runs[0].run_path / "done").touch()
        ended(0, 0)
        ended(1, 0)

    monkeypatch.setattr(sweep, "run_children", train_one_and_stop_the_other)
    said = []
    run_sweep(runs, said.append, num_at_once=2)
    assert said[2:] == ["run 1 is done", "run 2 stopped before its end"]
