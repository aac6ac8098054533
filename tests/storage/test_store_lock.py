"""One process at a time holds a run in an object store."""

import pytest

from podmeta.errors import InputError, PodmetaError
from podmeta.storage import store_lock
from podmeta.storage.object_store import ObjectStore
from podmeta.storage.run_lock import this_process
from podmeta.storage.store_lock import StoreLock, holder_in


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(store_lock, "SECONDS_BETWEEN_BEATS", 0.2)
    monkeypatch.setattr(store_lock, "SECONDS_UNTIL_GONE", 2.0)
    monkeypatch.setattr(store_lock, "_SECONDS_BETWEEN_LOOKS", 0.1)


@pytest.fixture
def run(store):
    return ObjectStore("s3://bucket/run")


def take(run, *last_tokens, note_tokens=lambda tokens: None):
    said = []
    return StoreLock(run, last_tokens, note_tokens, said.append), said


def fall_silent(lock):
    lock._released.set()
    lock._thread.join()


def test_a_second_process_is_refused_while_the_first_lives(run):
    first, _ = take(run)
    assert holder_in(run).words == this_process()
    with pytest.raises(InputError, match=rf"run_dir s3://bucket/run is in use by {this_process()}\. Wait for it"):
        take(run)
    first.check()
    first.release()


def test_a_lock_that_was_released_is_free_at_once(run):
    first, _ = take(run)
    first.release()
    assert holder_in(run).words == ""
    second, said = take(run)
    assert not said and not second.was_last
    second.release()


def test_a_silent_holder_is_replaced_and_finds_out(run):
    first, _ = take(run)
    fall_silent(first)
    second, said = take(run)
    assert said[-1] == f"nothing was heard of {this_process()}: taking over s3://bucket/run"
    second.check()
    with pytest.raises(PodmetaError, match="s3://bucket/run was taken over by process"):
        first.check()
    first.release()
    second.check()
    second.release()


def test_a_holder_that_is_known_to_be_gone_is_replaced_at_once(run):
    first, _ = take(run)
    fall_silent(first)
    second, said = take(run, first.token)
    assert second.was_last and not said
    second.release()


def test_a_former_holder_does_not_count_as_the_last(run):
    first, _ = take(run)
    first.release()
    second, _ = take(run)
    second.release()
    third, _ = take(run, first.token)
    assert not third.was_last
    third.release()


@pytest.mark.long
@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{}", b'{"token": 1, "holder": 2, "time": "x"}', b"[" * 10**5]
)
def test_a_lock_of_somebody_elses_making_is_held_by_another_process(content, run, store):
    store.put("run/lock/00000003", content)
    store.put("run/lock/other", b"")
    assert holder_in(run)[:3] == (3, "", "another process")
    lock, _ = take(run)
    assert store.names("run/lock/0") == ["run/lock/00000004"]
    lock.release()
