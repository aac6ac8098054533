"""Locks on file systems that have none, and who only looks; test_run_directory.py has what jobs do to one another."""

import errno
import os

import pytest
from portalocker import exceptions

from podmeta.errors import InputError
from podmeta.storage import run_lock
from podmeta.storage.run_lock import RunLock, holder_of


def test_a_file_system_without_locks_is_named(monkeypatch, tmp_path):
    def without_locks(file, flags):
        error = OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        raise exceptions.LockException(error, str(error)) from error

    monkeypatch.setattr(run_lock.portalocker, "lock", without_locks)
    with pytest.raises(InputError, match=r"cannot be locked: No locks available\. Choose"):
        RunLock(tmp_path)
    assert holder_of(tmp_path) is None


def test_who_looks_sees_the_holder_and_takes_nothing_from_it(tmp_path):
    assert holder_of(tmp_path) is None
    assert not (tmp_path / "lock").exists()
    lock = RunLock(tmp_path)
    assert holder_of(tmp_path) == lock.holder == holder_of(tmp_path)
    assert str(os.getpid()) in lock.holder
    lock.release()
    assert holder_of(tmp_path) is None
    again = RunLock(tmp_path)
    assert holder_of(tmp_path) == again.holder
    again.release()


def test_a_directory_that_moves_is_found_and_one_that_is_gone_is_not(tmp_path):
    (tmp_path / "a").mkdir()
    lock = RunLock(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").mkdir()  # another one of its name
    assert lock.directory_now() == tmp_path / "b"
    (tmp_path / "b" / "lock").unlink()
    (tmp_path / "b").rmdir()
    assert lock.directory_now() is None
    lock.release()
