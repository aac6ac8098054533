"""What is read of somebody else's files: regular ones, through no link, up to a size."""

import os

import pytest

from podmeta.data_files import read_data, read_named_data


def test_a_regular_file_is_read_up_to_a_size(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_data(path) == read_data(path, 5) == b"12345"
    with pytest.raises(OSError, match="holds 5 bytes, more than 4"):
        read_data(path, 4)


@pytest.mark.parametrize("target", ["file", "missing", "other"])
def test_a_link_is_not_followed(tmp_path, target):
    (tmp_path / "file").write_bytes(b"secret")
    (tmp_path / "other").symlink_to(tmp_path / target)
    with pytest.raises(OSError, match="It is a link"):
        read_data(tmp_path / "other")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_data(tmp_path / "pipe")


def test_a_folder_and_a_missing_file_are_named_as_such(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_data(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_data(tmp_path / "missing")


def test_a_file_that_the_user_names_may_be_a_link_to_a_regular_file(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_named_data(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4"):
        read_named_data(tmp_path / "link", 4)
    (tmp_path / "zeros").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        read_named_data(tmp_path / "zeros")
