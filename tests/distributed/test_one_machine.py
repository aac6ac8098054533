"""What processes that share a machine are given."""

import os
import subprocess
import sys

import pytest

from podmeta.distributed import one_machine
from podmeta.distributed.one_machine import cores_of_processes, share_the_machine

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="policies and cores of Linux")
WHAT_A_THREAD_HAS = """
import os, threading
input()
thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))))
thread.start(), thread.join()
"""


@linux_only
def test_threads_of_processes_that_share_the_machine_let_others_finish_and_keep_to_their_cores():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WHAT_A_THREAD_HAS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        for _ in range(2)
    ]
    share_the_machine([process.pid for process in processes])
    for process, cores in zip(processes, cores_of_processes(2), strict=True):
        said, _ = process.communicate("\n")
        assert said.strip() == f"{os.SCHED_BATCH} {sorted(cores)}"
    assert os.sched_getscheduler(0) != os.SCHED_BATCH


@linux_only
def test_a_process_that_is_alone_is_left_as_it_is():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, encoding="utf-8")
    share_the_machine([process.pid])
    assert os.sched_getscheduler(process.pid) != os.SCHED_BATCH
    process.communicate("\n")


def test_a_process_that_has_ended_is_no_error():
    processes = [subprocess.Popen([sys.executable, "-c", ""]) for _ in range(2)]
    for process in processes:
        process.wait()
    share_the_machine([process.pid for process in processes])


@linux_only
@pytest.mark.parametrize(
    ("cores", "shares"),
    [
        ({0, 1}, [{0}, {0}, {1}, {1}]),
        ({2, 5, 6, 7}, [{2, 5}, {6, 7}]),
        ({0, 1, 2}, [{0}, {1}, {2}]),
        ({3}, [{3}, {3}, {3}]),
        ({0, 1}, [{0, 1}] * 3),  # one core would have two of them, the other one
        ({0, 1, 2, 3}, [{0, 1, 2, 3}] * 3),  # a core would be idle
    ],
)
def test_cores_are_divided_where_none_comes_off_worse(monkeypatch, cores, shares):
    monkeypatch.setattr(one_machine.os, "sched_getaffinity", lambda _: cores)
    assert cores_of_processes(len(shares)) == shares
