"""What Windows lacks, and a job does without. Nothing here runs on Windows: what it lacks is taken away from Linux."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import podmeta
from podmeta import operating_system
from podmeta.data_files import read_data

PACKAGE = Path(podmeta.__file__).parent
ELSEWHERE_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
"""Modules of the standard library that Windows does not have."""

TAKE_AWAY = """
import errno, os, signal, sys
for name in (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "SCHED_BATCH", "fork", "geteuid", "pread", "pwrite",
    "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sched_setscheduler", "sysconf",
):
    delattr(os, name)
del signal.SIGHUP, signal.pthread_sigmask, errno.EDQUOT
from podmeta.cli import main
sys.argv = ["podmeta", *sys.argv[1:]]
sys.exit(main())
"""


def without_what_windows_lacks(*arguments):
    return subprocess.run(
        [sys.executable, "-c", TAKE_AWAY, *arguments],
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.mark.long
def test_a_job_trains_resumes_and_is_looked_at(tmp_path):
    job = [
        "train",
        "experiment=bandit",
        "devices.cpu=1",
        "outer.population_size=8",
        "outer.lifetimes_per_member=2",
        "environment.lifetime_length=20",
        "evaluation.num_tasks=10",
        "evaluation.settings=[{}]",
        "logging.progress=false",
        f"run_dir={tmp_path / 'run'}",
    ]
    for num_updates in (2, 4):
        done = without_what_windows_lacks(*job, f"num_updates={num_updates}")
        assert done.returncode == 0, done.stderr
    shown = without_what_windows_lacks("status", str(tmp_path / "run"))
    assert shown.returncode == 0 and "finished" in shown.stdout and "4 of 4" in shown.stdout, shown


def test_nothing_that_windows_lacks_is_imported_at_the_start():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not ELSEWHERE_ONLY & set(names), path


def test_a_link_is_not_followed_where_the_system_cannot_refuse_it(monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    monkeypatch.delattr(os, "O_NOFOLLOW")
    monkeypatch.setattr(operating_system, "_FLAGS", 0)
    with pytest.raises(OSError, match="It is a link"):
        read_data(tmp_path / "link")
    assert read_data(tmp_path / "file") == b"secret"


@pytest.mark.parametrize(
    ("num_actors", "load", "said"),
    [
        (2, 3.0, ""),
        (1, 70.4, "it has 2 cores of a machine whose load is 70"),
        (4, 70.4, "4 actors share 2 cores of a machine whose load is 70"),
        (64, 1.0, "64 actors share 2 cores of a machine whose load is 1"),
    ],
)
def test_what_is_slow_for_want_of_cores_is_not_blamed(monkeypatch, num_actors, load, said):
    monkeypatch.setattr(operating_system, "num_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert operating_system.lack_of_cores(num_actors) == said
