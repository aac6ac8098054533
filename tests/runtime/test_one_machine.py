"""What processes that share a machine are given."""

import os
import subprocess
import sys

import pytest

from podmeta.runtime.one_machine import let_others_finish

THREAD_POLICY = """
import os, threading
input()
thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0)))
thread.start(), thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a policy of Linux")
def test_threads_of_a_process_that_lets_others_finish_do_so_too():
    process = subprocess.Popen(
        [sys.executable, "-c", THREAD_POLICY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    let_others_finish(process.pid)
    said, _ = process.communicate("\n")
    assert int(said) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) != os.SCHED_BATCH


def test_a_process_that_has_ended_is_no_error():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    let_others_finish(process.pid)
