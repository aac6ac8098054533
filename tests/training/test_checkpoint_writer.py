"""Checkpoints that are written while training goes on."""

import json
import threading

import jax
import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.config.schema import CheckpointConfig
from podmeta.errors import PodmetaError
from podmeta.storage.checkpoints import Checkpoints
from podmeta.storage.run_directory import RunDirectory
from podmeta.training.checkpoint_writer import CheckpointWriter, Snapshot
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
    assert there == [2, 4, 6] and here == [1, 2, 3, 4, 5, 6]  # each is begun before it is due
    for step in there:
        manifests = [each / "checkpoints" / f"step_{step:08d}" / "manifest.json" for each in (trained, path)]
        sums = {json.dumps(json.loads(manifest.read_text(encoding="utf-8"))["arrays"]) for manifest in manifests}
        assert len(sums) == 1
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["update"] for row in rows if "save_blocked_seconds" in row] == [2, 3, 4, 5, 6]
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
    assert Checkpoints(path / "checkpoints").steps() == [1]
    assert "going on from update 1" in go_on(path, 3, *OFTEN)[1]


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_training_waits_for_a_checkpoint_only_where_more_than_an_interval_could_be_lost(seconds, tmp_path, monkeypatch):
    sound, path, is_writing = Checkpoints.save, tmp_path / "run", threading.Event()

    def slow(*arguments):
        is_writing.set()
        threading.Event().wait(seconds)
        sound(*arguments)
        is_writing.clear()

    monkeypatch.setattr(Checkpoints, "save", slow)
    could_be_lost, while_writing = [], []

    def tested(_):  # after every update, before it is decided whether to save
        steps = Checkpoints(path / "checkpoints").steps()
        could_be_lost.append(len(could_be_lost) + 1 - max(steps, default=0))
        while_writing.append(is_writing.is_set())
        return {"test_reward_mean": 1.0}

    words = [*OFTEN, "checkpoint.every_updates=4", "checkpoint.asynchronous=true", "evaluation.every_updates=1"]
    job = compose_job([*TINY, *words, "evaluation.enabled=false", "num_updates=16", f"run_dir={path}"])
    train(job, lambda line: None, None, tested)
    assert len(could_be_lost) == 16 and max(could_be_lost) <= 4
    assert any(while_writing) or seconds == 0.0


@pytest.mark.parametrize("every", ["every_updates", "every_seconds"])
def test_a_checkpoint_begins_as_much_earlier_as_writing_takes(every, tmp_path, monkeypatch):
    """An interval is ten calls, each of two updates and a second."""
    now = [0.0]
    monkeypatch.setattr("podmeta.training.checkpoint_writer.time.monotonic", lambda: now[0])
    monkeypatch.setattr("podmeta.training.checkpoint_writer._write_in", lambda *_: None)
    config = CheckpointConfig(every_updates=0, every_seconds=0.0, asynchronous=True)
    setattr(config, every, 20 if every == "every_updates" else 10.0)
    with RunDirectory(tmp_path / "run", "seed: 0\n") as run_directory:
        writer = CheckpointWriter(config, run_directory, Checkpoints(tmp_path / "run" / "checkpoints"), 0, print)
        calls = iter(range(1, 100))

        def train_until_due():
            for call in calls:
                now[0] += 1.0
                if writer.due(2 * call):
                    return call
            raise AssertionError("it was never due")

        def save(call, seconds):
            writer.save(Snapshot(2 * call, 0.0, np.zeros(1), None), in_background=True)
            writer.close()
            writer._expected_seconds = seconds
            now[0] += 0.5  # training stands still, which loses nothing

        assert train_until_due() == 9
        save(9, seconds=2.5)
        assert train_until_due() == 9 + 7
        save(9 + 7, seconds=0.1)
        assert train_until_due() == 9 + 7 + 9
