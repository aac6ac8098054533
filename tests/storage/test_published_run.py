"""A run in an object store: what a process writes into its copy is what any other machine reads."""

import errno
import json
import os
import shutil
import time
from typing import ClassVar

import pytest

from podmeta.errors import InputError, PodmetaError
from podmeta.storage import local_copy, published_run, store_lock
from podmeta.storage.checkpoint_files import CHECKSUMS, checksum_lines, step_name
from podmeta.storage.json_files import encode
from podmeta.storage.local_copy import fetch_run
from podmeta.storage.object_store import ObjectStore
from podmeta.storage.published_run import open_published
from podmeta.storage.run_files import Heartbeat
from podmeta.storage.run_lock import this_process
from podmeta.storage.run_status import read_status_in_store

ADDRESS = "s3://bucket/runs/first"
TIMEOUT_S = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(store_lock, "SECONDS_UNTIL_GONE", 1.0)
    monkeypatch.setattr(store_lock, "_SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(published_run, "_SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setattr(published_run, "_SECONDS_BETWEEN_TRIES", 0.1)


@pytest.fixture
def other_machine(monkeypatch, tmp_path):
    """Has the next commands run on a machine without copies."""
    caches = iter(range(100))
    return lambda: monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache_{next(caches)}"))


def write_checkpoint(run_path, step, content="arrays"):
    path = run_path / "checkpoints" / step_name(step)
    (path / "arrays").mkdir(parents=True)
    (path / "arrays" / "d").write_text(content * step, encoding="utf-8")
    (path / "manifest.json").write_text("{}", encoding="utf-8")
    (path / CHECKSUMS).write_text("".join(checksum_lines(path)), encoding="utf-8")


def write_run(run_path, *steps):
    (run_path / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
    (run_path / "metrics.jsonl").write_text('{"update": 1}\n', encoding="utf-8")
    (run_path / "tensorboard").mkdir(exist_ok=True)
    (run_path / "tensorboard" / "events").write_bytes(bytes(range(256)))
    for step in steps:
        write_checkpoint(run_path, step)


def content_of(run_path):
    files = [path for path in run_path.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(run_path).as_posix(): path.read_bytes() for path in files}


def ignore(line):
    pass


def train(*steps):
    with open_published(ADDRESS, ignore) as run:
        write_run(run.path, *steps)
    return run.path


def wait_until(condition):
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_another_machine_reads_what_was_written(store, other_machine):
    written = content_of(train(10, 20))
    assert {name.removeprefix("runs/first/") for name in store.names()} == {*written, "lock/00000001"}
    other_machine()
    newest = fetch_run(ADDRESS)
    assert newest.name == "first"
    assert content_of(newest) == {name: content for name, content in written.items() if "00000010" not in name}
    with open_published(ADDRESS, ignore) as run:
        assert content_of(run.path) == written


def test_a_checkpoint_is_published_while_the_job_goes_on(store):
    with open_published(ADDRESS, ignore) as run:
        write_run(run.path, 10)
        wait_until(lambda: f"runs/first/checkpoints/{step_name(10)}/{CHECKSUMS}" in store.names())
        # Everything that a resumed job needs came before what makes it count.
        assert {"runs/first/config.yaml", "runs/first/metrics.jsonl"} < set(store.names())


@pytest.mark.long
def test_what_is_deleted_and_replaced_is_so_in_the_store(store, other_machine):
    path = train(10, 20)
    (path / "summary.json").write_text("{}", encoding="utf-8")
    with open_published(ADDRESS, ignore):
        pass
    with open_published(ADDRESS, ignore) as run:
        (path / "summary.json").unlink()
        for file in (path / "checkpoints" / step_name(10)).rglob("*"):
            if file.is_file():
                file.unlink()
        for name in (10, 20):
            (path / "checkpoints" / step_name(name)).rename(path.parent / str(name))
        write_checkpoint(run.path, 20, "other arrays")
        (path / "metrics.jsonl").write_text('{"update": 2}\n', encoding="utf-8")
    other_machine()
    with open_published(ADDRESS, ignore) as run:
        assert content_of(run.path) == content_of(path)


def test_a_copy_that_was_deleted_takes_no_checkpoint_with_it(store):
    path = train(10)
    with open_published(ADDRESS, ignore):
        (path / "checkpoints").rename(path.parent / "elsewhere")
    assert f"runs/first/checkpoints/{step_name(10)}/{CHECKSUMS}" in store.names()


@pytest.mark.long
@pytest.mark.parametrize("damage", ["half", "changed"])
def test_a_checkpoint_that_is_not_whole_leaves_the_one_before(damage, store, other_machine):
    train(10, 20)
    newest = f"runs/first/checkpoints/{step_name(20)}"
    if damage == "half":
        store.delete(f"{newest}/{CHECKSUMS}")
    else:
        store.put(f"{newest}/arrays/d", b"something else")
    other_machine()
    steps = [path.name for path in (fetch_run(ADDRESS) / "checkpoints").iterdir()]
    assert sorted(steps) == [step_name(step) for step in ((10,) if damage == "half" else (10, 20))]


@pytest.mark.long
def test_a_killed_process_loses_only_what_came_after_the_last_checkpoint(store, other_machine, monkeypatch):
    with pytest.raises(KeyboardInterrupt), open_published(ADDRESS, ignore) as run:
        write_run(run.path, 10)
        wait_until(lambda: f"runs/first/checkpoints/{step_name(10)}/{CHECKSUMS}" in store.names())
        monkeypatch.setattr(run._store, "upload", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        write_checkpoint(run.path, 20)
        raise KeyboardInterrupt
    assert len(content_of(run.path)) == 9  # on this machine, the next start has it all
    with open_published(ADDRESS, ignore) as again:
        assert {path.name for path in (again.path / "checkpoints").iterdir()} == {step_name(10), step_name(20)}
    other_machine()
    assert content_of(fetch_run(ADDRESS)).keys() >= {f"checkpoints/{step_name(20)}/manifest.json"}


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_kill_while_the_lock_is_taken_leaves_the_copy_what_it_has_ahead(step, store, monkeypatch):
    """On both sides of the moment when the store has the lock of the new process."""

    def is_killed(*arguments):
        raise SystemExit("killed")

    path = train(10)
    write_checkpoint(path, 20)
    with monkeypatch.context() as killed, pytest.raises(SystemExit):
        if step == "before":
            killed.setattr(ObjectStore, "create", is_killed)
        else:
            killed.setattr(store_lock, "AbandonableThread", is_killed)  # the object of the lock is there by then
        with open_published(ADDRESS, ignore):
            pass
    assert (fetch_run(ADDRESS) / "checkpoints" / step_name(20)).is_dir()
    said = []
    with open_published(ADDRESS, said.append) as run:
        assert (run.path / "checkpoints" / step_name(20)).is_dir()
    assert len(said) == 1  # it waited for nobody
    assert f"runs/first/checkpoints/{step_name(20)}/{CHECKSUMS}" in store.names()


class KilledError(BaseException):
    """Ends everything, as a kill does."""


class StoreOfOneProcess(ObjectStore):
    """A store in the memory of this process, which a kill ends before a change of it."""

    objects: ClassVar[dict[str, bytes]] = {}
    changes_until_kill: ClassVar[int | None] = None

    def __init__(self, address):
        self.address = address

    def names(self, folder=""):
        beginning = f"{self.address}/{folder}".rstrip("/") + "/"
        return sorted(key.removeprefix(f"{self.address}/") for key in self.objects if key.startswith(beginning))

    def read(self, name):
        return self.objects.get(f"{self.address}/{name}")

    def download(self, name, path):
        path.write_bytes(self.objects[f"{self.address}/{name}"])

    def upload(self, name, path):
        self.write(name, path.read_bytes())

    def write(self, name, content):
        self._count()
        self.objects[f"{self.address}/{name}"] = content

    def create(self, name, content):
        self._count()
        return self.objects.setdefault(f"{self.address}/{name}", content) == content

    def delete(self, name):
        self._count()
        self.objects.pop(f"{self.address}/{name}", None)

    def _count(self):
        if StoreOfOneProcess.changes_until_kill is not None:
            if StoreOfOneProcess.changes_until_kill == 0:
                raise KilledError
            StoreOfOneProcess.changes_until_kill -= 1


def newest_elsewhere():
    """The newest checkpoint that another machine finds, which must be whole."""
    run_path = fetch_run(ADDRESS)
    newest = max((run_path / "checkpoints").iterdir(), key=lambda path: path.name)
    assert "".join(checksum_lines(newest)) == (newest / CHECKSUMS).read_text(encoding="utf-8")
    step = int(newest.name.removeprefix("step_"))
    assert (newest / "arrays" / "d").read_text(encoding="utf-8") == "arrays" * step
    return step


def test_a_kill_before_any_change_of_the_store_leaves_a_whole_checkpoint_there_and_loses_none_here(
    other_machine, monkeypatch, tmp_path
):
    for module in (local_copy, published_run):
        monkeypatch.setattr(module, "ObjectStore", StoreOfOneProcess)
    monkeypatch.setattr(published_run, "_SECONDS_BETWEEN_LOOKS", 1000.0)  # it publishes at its end
    is_killed, number = True, 0
    while is_killed:
        StoreOfOneProcess.objects.clear()
        here = str(tmp_path / f"machine_{number}")
        monkeypatch.setenv("XDG_CACHE_HOME", here)
        path = train(10)
        write_checkpoint(path, 20)
        shutil.rmtree(path / "checkpoints" / step_name(10))
        monkeypatch.setattr(StoreOfOneProcess, "changes_until_kill", number)
        try:
            with open_published(ADDRESS, ignore):
                pass
            is_killed = False
        except KilledError:
            pass
        monkeypatch.setattr(StoreOfOneProcess, "changes_until_kill", None)
        other_machine()
        assert newest_elsewhere() in (10, 20)
        monkeypatch.setenv("XDG_CACHE_HOME", here)
        with open_published(ADDRESS, ignore):
            pass
        other_machine()
        assert newest_elsewhere() == 20
        number += 1
    assert number > 10


def no_links(*_):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("link", [os.link, no_links])
def test_a_job_that_saves_faster_than_the_store_takes_publishes_all_the_same(link, monkeypatch, tmp_path):
    """Every checkpoint is deleted when the first of its files is in the store."""
    monkeypatch.setattr(published_run.os, "link", link)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(published_run, "ObjectStore", StoreOfOneProcess)
    StoreOfOneProcess.objects.clear()
    write, written = StoreOfOneProcess.write, []
    with open_published(ADDRESS, ignore) as run:
        checkpoints = run.path / "checkpoints"

        def write_and_go_on(store, name, content):
            write(store, name, content)
            written.append(name)
            if name.endswith("/arrays/d"):
                step = len([name for name in written if name.endswith(CHECKSUMS)]) + 1
                if (checkpoints / step_name(step)).exists() and step < 4:
                    write_checkpoint(run.path, step + 1)
                    shutil.rmtree(checkpoints / step_name(step))

        monkeypatch.setattr(StoreOfOneProcess, "write", write_and_go_on)
        write_run(run.path, 1)
        wait_until(lambda: any(name.endswith(f"{step_name(4)}/{CHECKSUMS}") for name in written))
    whole = [name.split("/")[1] for name in written if name.endswith(CHECKSUMS)]
    assert whole == [step_name(step) for step in (1, 2, 3, 4)]
    assert not list(run.path.parent.glob(".*"))


def test_a_checkpoint_that_is_not_as_it_was_saved_is_not_published_and_replaces_none(store):
    said, checksums = [], f"runs/first/checkpoints/{step_name(10)}/{CHECKSUMS}"
    path = train(10)
    published = store.get(checksums)
    with open_published(ADDRESS, said.append) as run:
        shutil.rmtree(path / "checkpoints" / step_name(10))
        write_checkpoint(run.path, 20)
        (run.path / "checkpoints" / step_name(20) / "arrays" / "d").write_text("damaged", encoding="utf-8")
        wait_until(lambda: len(said) > 1)
    assert [line for line in said if line.startswith("warning")] == [
        f"warning: checkpoint {path / 'checkpoints' / step_name(20)} is broken and not published: "
        "arrays/d: missing, added or not as saved, by SHA256SUMS"
    ]
    assert store.get(checksums) == published
    assert not any(step_name(20) in name for name in store.names())
    with open_published(ADDRESS, said.append) as run:
        shutil.rmtree(path / "checkpoints" / step_name(20))
        write_checkpoint(run.path, 20)
    assert not any(step_name(10) in name for name in store.names())
    assert f"runs/first/checkpoints/{step_name(20)}/{CHECKSUMS}" in store.names()


def test_a_copy_that_is_behind_is_not_trained_from(store, other_machine):
    path = train(10)
    (path / "checkpoints" / step_name(10) / "manifest.json").write_text("old", encoding="utf-8")
    before = content_of(path)
    other_machine()
    train(20)
    assert content_of(path) == before


@pytest.mark.long
def test_a_copy_is_brought_up_to_date_after_another_machine_has_trained(store, other_machine, monkeypatch, tmp_path):
    path = train(10)
    other_machine()
    elsewhere = train(20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with open_published(ADDRESS, ignore) as run:
        assert run.path == path != elsewhere
        assert content_of(path) == content_of(elsewhere)


def test_others_on_this_machine_read_the_copy_and_write_nothing(store):
    with open_published(ADDRESS, ignore) as run:
        write_run(run.path, 10)
        assert fetch_run(ADDRESS) == run.path
        with (
            pytest.raises(InputError, match="in use by another process on this machine"),
            open_published(ADDRESS, ignore),
        ):
            pass


@pytest.mark.long
def test_a_store_that_is_away_is_named_once_and_then_made_up_for(store, other_machine):
    said = []
    with open_published(ADDRESS, said.append) as run:
        store.door.shut()
        write_run(run.path, 10)
        wait_until(lambda: len(said) == 2)
        assert run.problem() is None
        store.door.reopen()
        wait_until(lambda: len(said) == 3)
    assert said[1].startswith(f"warning: {ADDRESS} cannot be ") and said[1].endswith("it is tried again")
    assert said[2] == f"{ADDRESS} is up to date again"
    written = content_of(run.path)
    other_machine()
    assert content_of(fetch_run(ADDRESS)) == written


@pytest.mark.long
def test_a_job_does_not_end_well_if_its_end_is_not_published(store, monkeypatch):
    monkeypatch.setattr(published_run, "_SECONDS_AT_END", 0.2)
    monkeypatch.setattr(published_run, "SECONDS_UNPUBLISHED", 0.0)
    message = "the end of the run could not be published .* the same command on this machine publishes it"
    with pytest.raises(PodmetaError, match=message), open_published(ADDRESS, ignore) as run:
        store.door.shut()
        write_run(run.path, 10)
        wait_until(lambda: run.problem() is not None)
        assert run.problem().startswith(f"nothing could be published at {ADDRESS} for 0 min")
    store.door.reopen()
    with open_published(ADDRESS, ignore):
        pass
    assert f"runs/first/checkpoints/{step_name(10)}/{CHECKSUMS}" in store.names()


def test_a_job_whose_run_was_taken_over_publishes_nothing_more(store):
    with pytest.raises(PodmetaError, match="taken over by somebody"), open_published(ADDRESS, ignore) as run:
        write_run(run.path, 10)
        wait_until(lambda: f"runs/first/checkpoints/{step_name(10)}/{CHECKSUMS}" in store.names())
        lock = {"token": "other", "holder": "somebody", "time": time.time()}
        store.put("runs/first/lock/00000002", json.dumps(lock).encode())
        write_checkpoint(run.path, 20)
        wait_until(lambda: run.problem() is not None)
    assert not any(step_name(20) in name for name in store.names())


def test_nothing_outside_the_copy_is_written_whatever_the_names(store, tmp_path):
    train(10)
    for name in ("../evil", "best/../../../evil", "best//evil", "best/c:evil", "best/a\\evil", ".hidden", "evil.py"):
        store.put(f"runs/first/{name}", b"")
    store.put(f"runs/first/checkpoints/{step_name(10)}/../../evil", b"")
    store.put(f"runs/first/checkpoints/{step_name(10)}/arrays/..evil", b"")
    path = fetch_run(ADDRESS)
    assert path.is_dir()
    found = [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*evil*")]
    assert all(f"checkpoints/{step_name(10)}/arrays" in name for name in found)


def test_an_address_without_a_run_holds_none(store):
    with pytest.raises(InputError, match=f"{ADDRESS} holds no run: it has no config.yaml"):
        fetch_run(ADDRESS)
    with pytest.raises(InputError, match=f"{ADDRESS} holds no run"):
        read_status_in_store(ADDRESS)


@pytest.mark.long
def test_the_status_is_what_the_run_has_published(store):
    with open_published(ADDRESS, ignore) as run:
        write_run(run.path, 10, 20)
        beat = Heartbeat("running", time.time(), 0.0, this_process(), 20, 40)
        (run.path / "heartbeat.json").write_text(json.dumps(encode(beat)), encoding="utf-8")
        wait_until(lambda: any(step_name(20) in name and CHECKSUMS in name for name in store.names()))
        status = read_status_in_store(ADDRESS)
        assert (status.path, status.state, status.update, status.num_updates) == (ADDRESS, "running", 20, 40)
        assert (status.checkpoint, status.reason) == (20, this_process())
    assert read_status_in_store(ADDRESS).state == "killed"  # it has released the lock, and recorded no end
