"""What podmeta asks of an object store, and what it says if it cannot have it."""

import sys
import threading

import pytest

from podmeta.errors import InputError
from podmeta.storage.object_store import ObjectStore, StoreError


def test_objects_are_written_read_listed_and_deleted(store, tmp_path):
    there = ObjectStore("s3://bucket/runs/first/")
    (tmp_path / "file").write_bytes(b"content")
    there.write("a", b"1")
    there.upload("folder/b", tmp_path / "file")
    store.put("runs/first_and_more", b"of another run")
    assert there.names() == ["a", "folder/b"]
    assert there.names("folder") == ["folder/b"]
    there.download("folder/b", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"
    there.delete("a")
    there.delete("a")
    assert there.read("a") is None
    assert there.read("folder/b") == b"content"


def test_of_several_that_create_an_object_one_does(store):
    outcomes, begin = [], threading.Barrier(4)

    def create(number):
        there = ObjectStore("s3://bucket/run")
        begin.wait()
        outcomes.append((there.create("lock", b"%d" % number), number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for created, number in outcomes if created]
    assert len(outcomes) == 4 and winners == [int(store.get("run/lock"))]


def test_a_file_that_is_gone_is_told_from_a_store_that_is(store, tmp_path):
    with pytest.raises(FileNotFoundError):
        ObjectStore("s3://bucket/run").upload("a", tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="no_such"):
        ObjectStore("s3://no_such/run").upload("a", tmp_path / "file")


@pytest.mark.long
def test_errors_name_the_address_and_the_reason(store, monkeypatch):
    with pytest.raises(StoreError, match="s3://no_such/run cannot be listed: The specified bucket does not exist"):
        ObjectStore("s3://no_such/run").names()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(StoreError, match="s3://bucket/run cannot be listed: Unable to locate credentials"):
        ObjectStore("s3://bucket/run").names()


def test_an_address_without_a_bucket_is_refused():
    with pytest.raises(InputError, match="s3:// names no bucket: write s3://BUCKET/RUN"):
        ObjectStore("s3://")


@pytest.mark.parametrize(("scheme", "package", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs")])
def test_a_missing_package_is_told_with_what_installs_it(scheme, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=rf"{scheme}://bucket/run is in an object store: pip install 'podmeta\[{extra}\]'"
    ):
        ObjectStore(f"{scheme}://bucket/run")
