"""Checkpoints that are written while training goes on."""

import json
import threading

import jax
import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.errors import PodmetaError
from podmeta.storage.checkpoints import Checkpoints
from podmeta.training.loop import train
from podmeta.training.run_logger import Progress, open_records
from tests.training.test_run_logger import TINY, go_on, restore_state, theta

OFTEN = (
    "checkpoint.every_updates=2",
    "checkpoint.every_seconds=0",
    "checkpoint.keep=9",
    "architecture.updates_per_call=1",
    "logging.every_updates=1",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run directory of a job of six updates that waits for every save."""
    path = tmp_path_factory.mktemp("trained") / "run"
    go_on(path, 6, *OFTEN)
    return path


@pytest.fixture
def held_up(monkeypatch):
    """Writing waits for this event once it has begun, which the other one says."""
    sound, begun, goes_on = Checkpoints.save, threading.Event(), threading.Event()

    def save(*arguments):
        begun.set()
        assert goes_on.wait(60)
        sound(*arguments)

    monkeypatch.setattr(Checkpoints, "save", save)
    return begun, goes_on


@pytest.fixture
def opened(tmp_path):
    """Records and state of a job whose update 2 is saved."""
    path = tmp_path / "run"
    go_on(path, 2)
    job = compose_job([*TINY, "num_updates=9", f"run_dir={path}"])
    with open_records(job, path, restore_state(job, path).tree, lambda line: None) as (records, state, _):
        yield records, state, path


@pytest.mark.long
def test_the_same_checkpoints_are_written_and_the_metrics_say_how_long_training_stood_still(trained, tmp_path):
    path = tmp_path / "run"
    go_on(path, 6, *OFTEN, "checkpoint.asynchronous=true")
    assert theta(path) == theta(trained)
    there, here = (Checkpoints(each / "checkpoints").steps() for each in (trained, path))
    assert here == there == [2, 4, 6]
    for step in here:
        manifests = [each / "checkpoints" / f"step_{step:08d}" / "manifest.json" for each in (trained, path)]
        sums = {json.dumps(json.loads(manifest.read_text(encoding="utf-8"))["arrays"]) for manifest in manifests}
        assert len(sums) == 1
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["update"] for row in rows if "save_blocked_seconds" in row] == [3, 5]
    assert any(row.get("save_seconds", 0) > 0 for row in rows)
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not any("save_blocked_seconds" in row for row in rows)


@pytest.mark.long
def test_a_checkpoint_holds_the_state_of_its_update_and_older_ones_stay_until_it_is_whole(opened, held_up):
    records, state, path = opened
    begun, goes_on = held_up
    state = jax.tree.map(np.array, state)
    expected = jax.tree.map(np.array, state)
    records.save(state, Progress(3, 1.0), in_background=True)
    assert begun.wait(60)
    jax.tree.map(lambda leaf: leaf.fill(0), state)  # training uses the buffers again
    assert Checkpoints(path / "checkpoints").steps() == [2]
    assert not records.due(Progress(4, 1.0))
    goes_on.set()
    records.save(state, Progress(4, 1.0))  # waits for the other
    assert Checkpoints(path / "checkpoints").steps() == [2, 3, 4]
    (path / "checkpoints" / "step_00000004" / "manifest.json").unlink()
    restored = restore_state(compose_job([*TINY, "num_updates=9", f"run_dir={path}"]), path)
    assert restored.step == 3
    jax.tree.map(np.testing.assert_array_equal, restored.tree, expected)


@pytest.mark.long
def test_what_fails_in_the_background_ends_the_job(opened, monkeypatch):
    records, state, path = opened

    def fail(*_):
        raise PodmetaError("the disk is full")

    monkeypatch.setattr(Checkpoints, "save", fail)
    records.save(state, Progress(3, 1.0), in_background=True)
    with pytest.raises(PodmetaError, match="the disk is full"):
        for _ in range(600):
            records.due(Progress(3, 1.0))
            threading.Event().wait(0.1)
    records.save(state, Progress(3, 1.0), in_background=True)
    with pytest.raises(PodmetaError, match="the disk is full"):
        records.save(state, Progress(4, 1.0))
    monkeypatch.undo()
    records.save(state, Progress(5, 1.0))
    assert Checkpoints(path / "checkpoints").steps() == [2, 5]


@pytest.mark.long
def test_a_job_that_an_error_ends_waits_for_the_checkpoint_under_way(tmp_path, monkeypatch):
    path = tmp_path / "run"
    sound, begun = Checkpoints.save, threading.Event()

    def slow(*arguments):
        begun.set()
        threading.Event().wait(0.5)
        sound(*arguments)

    monkeypatch.setattr(Checkpoints, "save", slow)
    job = compose_job(
        [
            *TINY,
            *OFTEN,
            "num_updates=9",
            "evaluation.every_updates=1",
            f"run_dir={path}",
            "checkpoint.asynchronous=true",
        ]
    )

    def tested(_):
        if begun.is_set():
            raise RuntimeError("a fault")
        return {"test_reward_mean": 1.0}

    with pytest.raises(RuntimeError, match="a fault"):
        train(job, lambda line: None, None, tested)
    assert Checkpoints(path / "checkpoints").steps() == [2]
    assert "going on from update 2" in go_on(path, 3, *OFTEN)[1]
