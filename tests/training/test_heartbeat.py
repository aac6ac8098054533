"""A job tells others how far it is, and why it ended."""

import json
import shutil

import pytest

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.errors import PodmetaError
from podmeta.storage.run_directory import RunDirectory
from podmeta.storage.run_files import read_heartbeat
from podmeta.storage.run_status import read_status
from podmeta.training.heartbeat import SECONDS_BETWEEN_BEATS, HeartbeatWriter
from tests.training.test_run_logger import ended, go_on, opened  # noqa: F401
from tests.training.test_wall_clock import Time


@pytest.fixture
def held(tmp_path):
    with RunDirectory(tmp_path / "run", job_to_yaml(compose_job([]))) as run_directory:
        yield run_directory


def test_a_heartbeat_is_written_at_the_first_update_and_then_every_few_seconds(held):
    time = Time(100.0)
    writer = HeartbeatWriter(held, 120, 90.0, time)
    writer.beat(0, 1.0)
    assert read_heartbeat(held.path) is None  # before the beginning
    writer.begin(10)
    assert read_status(held.path).state == "waiting"
    written = []
    for update in range(11, 31):
        time.now += 1.0
        writer.beat(update, 50.0)
        written.append(read_heartbeat(held.path).update)
    assert written[0] == 11 and len(set(written)) == 20 / SECONDS_BETWEEN_BEATS
    assert read_status(held.path).state == "running"
    writer.end("interrupted", 30, "SIGTERM")
    beat = read_heartbeat(held.path)
    assert (beat.state, beat.update, beat.reason, beat.began) == ("interrupted", 30, "SIGTERM", 90.0)


def test_a_heartbeat_leaves_another_run_alone_and_fails_silently(held, tmp_path):
    writer = HeartbeatWriter(held, 120, 90.0)
    writer.begin(0)
    (held.path / "heartbeat.json").unlink()
    (held.path / "heartbeat.json").mkdir()
    writer.beat(1, 1.0)
    (held.path / "heartbeat.json").rmdir()
    held.path.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", held.path)
    writer.end("failed", 1, "")
    assert not (held.path / "heartbeat.json").exists()


@pytest.mark.long
def test_a_job_that_ends_is_finished_and_one_with_nothing_left_changes_nothing(ended):  # noqa: F811
    status = read_status(ended)
    assert (status.state, status.update, status.num_updates, status.checkpoint) == ("finished", 2, 2, 2)
    assert status.env_steps_per_second > 0
    before = (ended / "heartbeat.json").read_bytes()
    go_on(ended, 2)
    assert (ended / "heartbeat.json").read_bytes() == before


@pytest.mark.long
def test_a_job_that_fails_or_is_interrupted_says_why(ended):  # noqa: F811
    with pytest.raises(PodmetaError, match="no luck"), opened(ended):
        assert read_status(ended).state == "waiting"
        raise PodmetaError("no luck\nat all")
    assert (read_status(ended).state, read_status(ended).reason) == ("failed", "no luck")
    rows = (ended / "wall_clock.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[-1])["ended"] == "failed"
    with opened(ended) as (records, _, _):
        records.interrupt("SIGTERM")
    assert (read_status(ended).state, read_status(ended).reason) == ("interrupted", "SIGTERM")
