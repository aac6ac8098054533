"""`os._exit` is an exception inside the blocks of a user's code, and ends the process everywhere else."""

import os
import subprocess
import sys
import threading

import pytest

from podmeta.exits import ExitsRaise, HardExit

ENDS = {
    "after a block": "with ExitsRaise(): pass\nos._exit(3)",
    "in another thread": "with ExitsRaise():\n t = threading.Thread(target=os._exit, args=(3,)); t.start(); t.join()",
    "in a forked child": "with ExitsRaise():\n p = os.fork() or os._exit(3)\nsys.exit(os.waitpid(p, 0)[1] >> 8)",
}


def test_it_raises_within_nested_blocks():
    with ExitsRaise():
        with pytest.raises(HardExit), ExitsRaise():
            os._exit(0)
        with pytest.raises(HardExit) as raised:
            os._exit(7)
    assert raised.value.code == 7


@pytest.mark.parametrize("where", ENDS)
def test_it_still_ends_a_process(where):
    program = f"import os, sys, threading\nfrom podmeta.exits import ExitsRaise\n{ENDS[where]}\n"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 3


def test_another_thread_has_blocks_of_its_own():
    raised = []

    def in_a_block() -> None:
        try:
            with ExitsRaise():
                os._exit(0)
        except HardExit as error:
            raised.append(error)

    thread = threading.Thread(target=in_a_block)
    thread.start()
    thread.join()
    assert len(raised) == 1
