import errno
from pathlib import Path

import pytest

from podmeta.errors import PodmetaError
from podmeta.runtime.files import is_disk_full, write_atomically

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


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_recognised_behind_other_errors():
    try:
        try:
            with FULL.open("w") as full:
                full.write("x")
        except OSError as error:
            assert error.errno == errno.ENOSPC
            raise RuntimeError("wrapped") from error
    except RuntimeError as wrapped:
        assert is_disk_full(wrapped)
    assert is_disk_full(ValueError("RESOURCE_EXHAUSTED: No space left on device [os_error_code='28']"))
    assert not is_disk_full(PermissionError(errno.EACCES, "Permission denied"))
