"""A profile of the updates asked for, which changes nothing else."""

import gzip
import json

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.profiled_updates import ProfiledUpdates, profiled_updates
from podmeta.errors import InputError
from podmeta.training.loop import train
from podmeta.training.profiler import Profiler
from tests.training.test_run_logger import TINY, theta


def test_updates_are_two_numbers():
    assert profiled_updates("") is None
    assert profiled_updates("100:110") == ProfiledUpdates(100, 110)


@pytest.mark.parametrize("text", ["100", "110:100", "5:5", ":", "-1:3", "a:b", "1:2:3", "0:99999999999", "٣:٤"])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="profile=100:110"):
        compose_job([f"profile='{text}'"])


@pytest.mark.parametrize(("per_call", "traced"), [(1, (10, 12)), (4, (8, 12)), (100, (0, 100))])
def test_whole_calls_are_traced_and_no_others(per_call, traced, tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr("jax.profiler.start_trace", lambda *_, **__: events.append(update))
    monkeypatch.setattr("jax.profiler.stop_trace", lambda: events.append(update))
    profiler = Profiler(ProfiledUpdates(10, 12), tmp_path, lambda line: None)
    update = 0
    while update < 100:
        profiler.before_call(update, per_call)
        update += per_call
        profiler.after_call(update)
    profiler.close(update)
    assert events == list(traced)


@pytest.mark.long
def test_a_profiled_job_leaves_a_trace_and_ends_at_the_same_meta_params(tmp_path):
    said = []
    words = [*TINY, "num_updates=4", "architecture.updates_per_call=1"]
    train(compose_job([*words, f"run_dir={tmp_path / 'plain'}"]), said.append)
    train(compose_job([*words, f"run_dir={tmp_path / 'traced'}", "profile=1:3"]), said.append)
    assert theta(tmp_path / "plain") == theta(tmp_path / "traced")
    (path,) = (tmp_path / "traced" / "profile").iterdir()
    assert f"profile of updates 2 to 3: {path}" in said
    assert list(path.rglob("*.xplane.pb"))
    (trace,) = path.rglob("perfetto_trace.json.gz")
    assert json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
