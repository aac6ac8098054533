import errno
import os
import time
from pathlib import Path

import pytest

from podmeta.errors import PodmetaError
from podmeta.storage import files
from podmeta.storage.files import (
    create_file,
    delete_old_temporaries,
    is_disk_full,
    open_without_following,
    write_atomically,
)

FULL = Path("/dev/full")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "summary.json"
    write_atomically(path, "one")
    write_atomically(path, "zwei ü")
    assert path.read_text(encoding="utf-8") == "zwei ü"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "summary.json"
    path.mkdir()  # the rename on top of it fails
    with pytest.raises(PodmetaError, match=r"summary\.json could not be written"):
        write_atomically(path, "text")
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_goes_through_no_link(tmp_path):
    mine, link = tmp_path / "mine", tmp_path / "link"
    mine.write_text("mine", encoding="utf-8")
    link.symlink_to(mine)
    with pytest.raises(FileExistsError):
        create_file(link)
    with pytest.raises(OSError, match="It is a link"):
        open_without_following(link, os.O_APPEND)
    write_atomically(link, "theirs")
    assert (mine.read_text(encoding="utf-8"), link.read_text(encoding="utf-8")) == ("mine", "theirs")
    assert not link.is_symlink()


def test_nobody_can_foresee_the_name_of_a_temporary_file(tmp_path, monkeypatch):
    """A link that waits under one name is not met: two writes use two names."""
    names = []
    monkeypatch.setattr(files, "create_file", lambda path: names.append(path.name) or create_file(path))
    for _ in range(2):
        write_atomically(tmp_path / "summary.json", "")
    assert len(set(names)) == 2 and all(name.startswith(".tmp-") for name in names)


def test_what_killed_processes_left_is_deleted_and_what_is_being_written_is_not(tmp_path):
    for name, age in ((".tmp-old", 4000), (".tmp-new", 0), ("other", 4000)):
        (tmp_path / name).write_text("", encoding="utf-8")
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "other")
    delete_old_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-link", ".tmp-new", "other"]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_recognised_behind_other_errors():
    try:
        try:
            with FULL.open("w", encoding="utf-8") as full:
                full.write("x")
        except OSError as error:
            assert error.errno == errno.ENOSPC
            raise RuntimeError("wrapped") from error
    except RuntimeError as wrapped:
        assert is_disk_full(wrapped)
    assert is_disk_full(ValueError("RESOURCE_EXHAUSTED: No space left on device [os_error_code='28']"))
    assert not is_disk_full(PermissionError(errno.EACCES, "Permission denied"))
