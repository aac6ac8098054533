"""What a job that goes on leaves in the directory of a run that has ended."""

import contextlib
import json
import shutil

import pytest

from podmeta.config.compose import compose_job
from podmeta.errors import InputError, PodmetaError
from podmeta.storage.checkpoints import Checkpoints
from podmeta.training.build import state_shapes
from podmeta.training.loop import train
from podmeta.training.run_logger import Progress, open_records

TINY = [
    "outer.population_size=8",
    "outer.lifetimes_per_member=1",
    "outer.noise_std=1",
    "environment.lifetime_length=6",
    "learner.hidden_size=3",
    "learner.message_size=2",
    "logging.tensorboard=false",
    "logging.progress=false",
    "evaluation.num_tasks=4",
]


def restore_state(job, path):
    """The newest good checkpoint of a job, whole."""
    return Checkpoints(path / "checkpoints").restore_latest(lambda update: state_shapes(job, update))


def go_on(path, num_updates, *overrides):
    """How a job of that many updates ends in a run directory, and what it said."""
    said = []
    job = compose_job([*TINY, f"num_updates={num_updates}", f"run_dir={path}", *overrides])
    return train(job, said.append), said


@pytest.fixture
def ended(tmp_path):
    """The directory of a run that has ended at update 2."""
    go_on(tmp_path / "run", 2)
    return tmp_path / "run"


def files(path):
    names = ("config.yaml", "environment.json", "summary.json", "metrics.jsonl")
    return {name: (path / name).read_bytes() for name in names}


@pytest.mark.long
@pytest.mark.parametrize("num_updates", [1, 2])
def test_a_job_with_nothing_left_says_so_and_leaves_what_made_the_meta_params(num_updates, ended):
    before = files(ended)
    result, said = go_on(ended, num_updates)
    assert f"nothing left to train: update 2 is done, and num_updates={num_updates}" in said
    assert not any("going on" in line for line in said)
    assert (result.update, result.stopped_by) == (2, None)
    assert files(ended) == before


@pytest.mark.long
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{", encoding="utf-8")])
def test_a_lost_summary_is_made_up_with_all_updates_that_were_done(damage, ended):
    before = json.loads((ended / "summary.json").read_text(encoding="utf-8"))
    damage(ended / "summary.json")
    go_on(ended, 1)
    after = json.loads((ended / "summary.json").read_text(encoding="utf-8"))
    counted = ("num_updates", "env_steps", "seconds", "meta_params_sha256")
    assert {key: after[key] for key in counted} == {key: before[key] for key in counted}


@pytest.mark.long
def test_the_summary_of_an_earlier_end_does_not_outlive_its_meta_params(ended):
    job = compose_job([*TINY, "num_updates=9", f"run_dir={ended}"])
    fresh_state = restore_state(job, ended).tree
    with open_records(job, ended, fresh_state, lambda line: None) as (records, state, progress):
        records.save(state, progress)
        assert (ended / "summary.json").exists()  # still the θ of update 2
        records.save(state, Progress(3, 1.0))
        assert not (ended / "summary.json").exists()


@contextlib.contextmanager
def opened(path):
    """The records and state of a job that goes on in a run directory, and what it says."""
    said = []
    job = compose_job([*TINY, "num_updates=9", f"run_dir={path}"])
    with open_records(job, path, restore_state(job, path).tree, said.append) as (records, state, progress):
        assert not records.due(progress)
        yield records, state, said


@pytest.mark.long
def test_a_job_whose_directory_is_renamed_saves_there_and_stops(ended, tmp_path):
    moved = tmp_path / "moved"
    with opened(ended) as (records, state, _):
        ended.rename(moved)
        assert records.due(Progress(2, 1.0))
        records.note([{"update": 3}], Progress(3, 1.0), 0.0, 1.0)
        with pytest.raises(PodmetaError, match=f"renamed to {moved} .* update 3 .* run_dir={moved}$"):
            records.save(state, Progress(3, 1.0))
    assert not ended.exists()
    assert "going on from update 3" in go_on(moved, 4)[1]
    rows = (moved / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["update"] for row in rows] == [2, 3, 4]


@pytest.mark.long
def test_a_job_whose_checkpoints_are_deleted_saves_another_and_says_so(ended):
    with opened(ended) as (records, state, said):
        shutil.rmtree(ended / "checkpoints")
        records.save(state, Progress(3, 1.0))
        records.save(state, Progress(4, 1.0))
        assert [line for line in said if "were deleted" in line and "of update 3 is the only one" in line]
        assert len([line for line in said if line.startswith("warning")]) == 1
    assert "going on from update 4" in go_on(ended, 5)[1]


@pytest.mark.long
def test_a_job_whose_directory_is_exchanged_for_another_run_leaves_that_alone(ended, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(ended, other)
    with opened(ended) as (records, state, _):
        shutil.rmtree(ended)
        other.rename(ended)
        before = {path: path.read_bytes() for path in ended.rglob("*") if path.is_file() and path.name != "lock"}
        with pytest.raises(PodmetaError, match=r"no checkpoint of update 3 can be saved there: another run"):
            records.save(state, Progress(3, 1.0))
    assert {path: path.read_bytes() for path in ended.rglob("*") if path.is_file() and path.name != "lock"} == before


@pytest.mark.long
def test_a_job_whose_directory_is_deleted_makes_it_again_and_goes_on(ended):
    with opened(ended) as (records, state, said):
        config = (ended / "config.yaml").read_text(encoding="utf-8")
        shutil.rmtree(ended)
        assert records.due(Progress(2, 1.0))
        records.save(state, Progress(3, 1.0))
        assert any(f"{ended} was deleted" in line for line in said)
        assert not records.due(Progress(3, 1.0))
        records.note([{"update": 4}], Progress(4, 1.0), 0.0, 1.0)
        assert (ended / "config.yaml").read_text(encoding="utf-8") == config
        with pytest.raises(InputError, match="in use"):
            go_on(ended, 9)
    assert "going on from update 3" in go_on(ended, 4)[1]


LINEAR = "outer.learning_rate_schedule.name=linear"
LENGTH = "outer.learning_rate_schedule.num_updates"


def theta(path):
    return json.loads((path / "summary.json").read_text(encoding="utf-8"))["meta_params_sha256"]


@pytest.mark.long
def test_a_schedule_that_becomes_longer_is_said_and_one_that_keeps_its_length_ends_as_if_run_at_once(tmp_path):
    go_on(tmp_path / "stretched", 3, LINEAR)
    _, said = go_on(tmp_path / "stretched", 6, LINEAR)
    (line,) = [line for line in said if line.startswith("outer.")]
    assert line.startswith("outer.learning_rate_schedule runs over 6 updates now, not 3: outer.learning_rate is")
    assert "multiplied by 0.46 from here on, after 0.1 in update 3" in line and f"{LENGTH}=3 keeps" in line

    go_on(tmp_path / "kept", 3, LINEAR)
    _, said = go_on(tmp_path / "kept", 6, LINEAR, f"{LENGTH}=3")
    assert not any(line.startswith("outer.") for line in said)
    go_on(tmp_path / "at_once", 6, LINEAR, f"{LENGTH}=3")
    assert theta(tmp_path / "kept") == theta(tmp_path / "at_once") != theta(tmp_path / "stretched")
