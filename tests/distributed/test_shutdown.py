"""A process that has left a thread behind ends at once, and any other as it always would."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading
from podmeta.distributed.shutdown import leave
from podmeta.exits import AbandonableThread
atexit.register(lambda: print("waited"))
thread = AbandonableThread("left", threading.Event().wait if {is_left} else None)
thread.start()
if not {is_left}:
    thread.join()
print("said", end="")
leave(3)
"""


@pytest.mark.parametrize(("is_left", "code", "said"), [(True, 3, "said"), (False, 0, "saidwaited\n")])
def test_a_process_waits_for_nothing_only_where_a_thread_is_left_behind(is_left, code, said):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(is_left=is_left)], capture_output=True, encoding="utf-8", timeout=60
    )
    assert (done.returncode, done.stdout) == (code, said), done.stderr


STRANGER = """
import threading, time
from podmeta.distributed.shutdown import leave
threading.Thread(target=time.sleep, args=({seconds},), name="theirs").start()
leave(3)
"""


@pytest.mark.long
def test_a_thread_that_an_environment_has_left_is_named_and_not_waited_for():
    done = subprocess.run(
        [sys.executable, "-c", STRANGER.format(seconds=600)], capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 3
    assert "not waiting for a thread that an environment has left running: theirs" in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", STRANGER.format(seconds=0.1)], capture_output=True, encoding="utf-8", timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
