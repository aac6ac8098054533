"""Processes that end when the one that has started them is gone, and that get their signals from it."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from podmeta.distributed.children import ChildCommand, run_children
from podmeta.errors import PodmetaError
from tests.end_to_end.job import REPOSITORY

SECONDS_TO_END = 5.0
CHILD = """
import os, signal, sys, time
from podmeta.distributed.children import end_with_parent
{before}
end_with_parent()
print("child", os.getpid(), flush=True)
time.sleep(1000)
"""


def parent(body: str, child: str) -> subprocess.Popen:
    """A process that runs the body, in which `child` is a command line."""
    script = f"""
import os, signal, subprocess, sys
from pathlib import Path
from podmeta.distributed.children import ChildCommand, Lifeline, run_child, run_children
child = [sys.executable, "-c", {child!r}]
""" + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def seconds_until_gone(process_id: int) -> float:
    start = time.monotonic()
    while time.monotonic() - start < 60:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return time.monotonic() - start
        if is_zombie(process_id):
            return time.monotonic() - start
        time.sleep(0.05)
    os.kill(process_id, signal.SIGKILL)
    raise AssertionError("it has outlived its parent")


def is_zombie(process_id: int) -> bool:
    """Whether it has ended, and its new parent has not asked how: as in containers without an init."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, encoding="utf-8")
    return done.stdout.startswith("Z")


STARTING = """
    with Lifeline() as lifeline:
        lifeline.start(child, start_new_session=True).wait()
"""


def test_a_child_ends_when_the_group_of_its_parent_is_killed():
    process = parent(STARTING, CHILD.format(before=""))
    child = int(process.stdout.readline().split()[1])
    os.killpg(process.pid, signal.SIGKILL)
    assert seconds_until_gone(child) < SECONDS_TO_END
    process.communicate()


def test_a_child_that_does_not_heed_the_stop_ends_all_the_same():
    process = parent(STARTING, CHILD.format(before="signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    child = int(process.stdout.readline().split()[1])
    process.kill()
    assert seconds_until_gone(child) < SECONDS_TO_END
    process.communicate()


def test_a_child_whose_parent_was_gone_before_it_looked_ends():
    child = CHILD.format(before="os.write(1, f'child {os.getpid()}\\n'.encode()); time.sleep(1)")
    process = parent(STARTING, child)
    child_id = int(process.stdout.readline().split()[1])
    process.kill()
    assert seconds_until_gone(child_id) < SECONDS_TO_END
    process.communicate()


def test_a_child_lives_as_long_as_its_parent():
    body = """
        with Lifeline() as lifeline:
            process = lifeline.start(child)
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                print("lives", flush=True)
            process.kill()
            process.wait()
    """
    process = parent(body, CHILD.format(before=""))
    assert process.communicate(timeout=60)[0].splitlines()[1] == "lives"


def test_a_child_gets_each_signal_once_and_from_its_parent_only():
    """As in a terminal, whose Ctrl-C goes to the parent's group."""
    heeding = CHILD.format(before="signal.signal(signal.SIGINT, lambda *_: exit(7))")
    process = parent("print(run_child(child), flush=True)", heeding)
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "(7, 'SIGINT')\n"


def test_an_interrupt_while_a_child_starts_waits_until_the_child_handles_it():
    starting = """
os.write(1, b"starting\\n")
time.sleep(1)
signal.signal(signal.SIGINT, lambda *_: exit(7))
"""
    process = parent("print(run_child(child), flush=True)", CHILD.format(before=starting))
    assert process.stdout.readline() == "starting\n"
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert said.endswith("(7, 'SIGINT')\n") and errors == ""


def test_the_lifeline_is_not_handed_down():
    child = """
import os, subprocess, sys
from podmeta.distributed.children import end_with_parent
end_with_parent()
print([name for name in os.environ if name.startswith("PODMETA_")])
"""
    process = parent(STARTING, child)
    assert process.communicate(timeout=60)[0] == "[]\n"


AT_ONCE = """
    def command(number):
        return ChildCommand([*child, str(number)], Path({folder!r}, str(number)))
    def began(index):
        print("began", index, flush=True)
    def ended(index, code):
        print("ended", index, code, flush=True)
    print(run_children([command(number) for number in range({number})], 2, began, ended), flush=True)
"""


def test_several_children_run_at_once_and_one_that_fails_does_not_end_the_others(tmp_path):
    child = """
import sys, time
from podmeta.distributed.children import end_with_parent
end_with_parent()
print("child", sys.argv[1], flush=True)
time.sleep(0.0 if sys.argv[1] == "0" else 1.0)
sys.exit(3 if sys.argv[1] == "0" else 0)
"""
    said = parent(AT_ONCE.format(folder=str(tmp_path), number=3), child).communicate(timeout=120)[0].splitlines()
    assert said[:2] == ["began 0", "began 1"] and said[-1] == "None"
    assert sorted(said[2:-1]) == ["began 2", "ended 0 3", "ended 1 0", "ended 2 0"]
    assert [(tmp_path / str(number)).read_text(encoding="utf-8") for number in range(3)] == [
        "child 0\n",
        "child 1\n",
        "child 2\n",
    ]


def test_output_does_not_follow_a_link_to_a_file_that_is_somebody_elses(tmp_path):
    (tmp_path / "mine").write_text("as it was", encoding="utf-8")
    (tmp_path / "log").symlink_to(tmp_path / "mine")
    command = ChildCommand([sys.executable, "-c", "print()"], tmp_path / "log")
    with pytest.raises(PodmetaError, match="log could not be written"):
        run_children([command], 1, began=lambda index: None, ended=lambda index, code: None)
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "as it was"


def test_a_signal_ends_all_children_at_work_and_none_is_started_after_it(tmp_path):
    heeding = CHILD.format(before="signal.signal(signal.SIGINT, lambda *_: exit(7))")
    process = parent(AT_ONCE.format(folder=str(tmp_path), number=3), heeding)
    end = time.monotonic() + 60
    while not all((tmp_path / name).exists() and (tmp_path / name).read_text(encoding="utf-8") for name in ("0", "1")):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0].splitlines()
    assert sorted(said) == sorted(["began 0", "began 1", "ended 0 7", "ended 1 7", "SIGINT"])


def test_several_children_end_when_their_parent_is_killed(tmp_path):
    process = parent(AT_ONCE.format(folder=str(tmp_path), number=2), CHILD.format(before=""))
    end = time.monotonic() + 60
    while not all((tmp_path / name).exists() and (tmp_path / name).read_text(encoding="utf-8") for name in ("0", "1")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    for name in ("0", "1"):
        assert seconds_until_gone(int((tmp_path / name).read_text(encoding="utf-8").split()[1])) < SECONDS_TO_END
    process.communicate()


def test_one_of_several_children_can_be_ended_and_the_next_takes_its_place(tmp_path):
    body = f"""
    folder, ends = Path({str(tmp_path)!r}), [True]
    def commands():
        for number in range(3):
            print("asked", number, flush=True)
            yield ChildCommand([*child, str(number)], folder / str(number))
    def ended(index, code):
        print("ended", index, code, flush=True)
    def ends_now(index):
        return index == 0 and (folder / "0").read_text() != "" and bool(ends) and ends.pop()
    print(run_children(commands(), 1, lambda index: None, ended, ends_now), flush=True)
    """
    child = """
import signal, sys, time
from podmeta.distributed.children import end_with_parent
end_with_parent()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print("child", flush=True)
time.sleep(1000 if sys.argv[1] == "0" else 0)
"""
    said = parent(body, child).communicate(timeout=120)[0].splitlines()
    assert said == ["asked 0", "ended 0 5", "asked 1", "ended 1 0", "asked 2", "ended 2 0", "None"]
