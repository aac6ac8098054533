"""Worker processes: they do what a loop does, and outlive signals, but neither their batch nor their parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from podmeta.config.schema import GymnasiumConfig
from podmeta.errors import PodmetaError

BATCH = 5
ACTIONS = np.zeros(BATCH, np.int32)
IN_PROCESSES = {"vectorisation": "processes", "num_processes": 2}


def is_alive(pid):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids, seconds=10.0):
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "workers are left over"
        time.sleep(0.02)


@pytest.fixture
def workers():
    """The workers that are there now, all of which must be gone when the test ends."""
    assert not multiprocessing.active_children()
    seen = []

    def workers():
        seen.extend(multiprocessing.active_children())
        return multiprocessing.active_children()

    yield workers
    assert seen


@pytest.fixture
def begun(make_script, begin):
    """begun(**options): a batch of scripts in two workers, of two and three environments, in its first lifetimes."""

    def begun(**options):
        environment = make_script(BATCH, IN_PROCESSES, **options)
        begin(environment)
        return environment

    return begun


def test_workers_do_what_a_loop_does(make, live):
    generators = [np.random.default_rng(0) for _ in range(2)]
    configs = [GymnasiumConfig(), GymnasiumConfig(**IN_PROCESSES)]
    histories = [
        live(make(config, BATCH), 100, lambda _, g=generator: g.integers(0, 2, BATCH).astype(np.int32))[0]
        for config, generator in zip(configs, generators, strict=True)
    ]
    for inline, in_processes in zip(*histories, strict=True):
        assert inline.dtype == in_processes.dtype
        np.testing.assert_array_equal(inline, in_processes)


def test_time_steps_are_not_written_to_again(begun):
    environment = begun()
    first = environment.step(ACTIONS)
    kept = [array.copy() for array in first]
    environment.step(ACTIONS + 1)
    for array, was in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, was)


def test_workers_live_on_when_their_process_group_is_signalled(begun, workers):
    environment = begun()
    for number in (signal.SIGINT, signal.SIGTERM):
        for worker in workers():
            os.kill(worker.pid, number)
    for _ in range(3):
        environment.step(ACTIONS)
    environment.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("while_it_steps", [False, True])
def test_a_killed_worker_is_told(while_it_steps, begun, workers):
    environment = begun(**({"strike": 1, "how": "hang"} if while_it_steps else {}))
    victim = workers()[1]
    if while_it_steps:  # the other worker never answers
        threading.Timer(0.3, victim.kill).start()
    else:
        victim.kill()
        victim.join()
    with pytest.raises(
        PodmetaError, match=r"factories:Script: at env step 1, environment [02] of 5 is gone: .* code -9"
    ):
        environment.step(ACTIONS)


def test_an_environment_that_would_end_its_worker_is_told(begun):
    environment = begun(strike=2, how="exit")
    environment.step(ACTIONS)
    with pytest.raises(PodmetaError, match=r"at env step 2, environment [0-4] of 5 failed: it called os\._exit\(7\)"):
        environment.step(ACTIONS)


def test_closing_does_not_wait_for_a_step_that_hangs(begun, workers):
    environment = begun(strike=1, how="hang")
    raised = []

    def step():
        try:
            environment.step(ACTIONS)
        except PodmetaError as error:
            raised.append(error)

    stepping = threading.Thread(target=step)
    stepping.start()
    time.sleep(0.3)
    assert workers()
    began = time.monotonic()
    environment.close()
    stepping.join(5.0)
    assert time.monotonic() - began < 5.0 and not stepping.is_alive()
    assert len(raised) == 1
    assert not multiprocessing.active_children()
    environment.close()  # twice does no harm


def test_an_environment_that_does_not_close_is_killed(begun):
    environment = begun(close_s=600.0)
    environment.step(ACTIONS)
    began = time.monotonic()
    environment.close()
    assert time.monotonic() - began < 5.0
    assert not multiprocessing.active_children()


PARENT = """
import multiprocessing, sys, time
import numpy as np
from podmeta.config.schema import FactoryConfig
from podmeta.environments.host.registry import make_host_environment

if __name__ == "__main__":
    config = FactoryConfig(
        factory="tests.environments.host.factories:Script", options={"strike": 2, "how": "hang"},
        vectorisation="processes", num_processes=2,
    )
    environment = make_host_environment(config, 2)
    environment.reset(np.ones(2, bool), np.zeros(2, np.uint32))
    environment.step(np.zeros(2, np.int32))
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    print("jax" in sys.modules, flush=True)
    if sys.argv[1] == "step":
        environment.step(np.zeros(2, np.int32))  # hangs
"""


@pytest.mark.parametrize("how", ["kill while a step hangs", "end without closing"])
def test_workers_do_not_outlive_their_parent(how, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    what = "step" if how.startswith("kill") else "end"
    parent = subprocess.Popen([sys.executable, script, what], stdout=subprocess.PIPE, encoding="utf-8", env=environment)
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert parent.stdout.readline() == "False\n"  # nor do workers, which import less
    if what == "step":
        assert all(map(is_alive, pids))
        time.sleep(0.2)
        parent.kill()
    assert parent.wait(10.0) == (-signal.SIGKILL if what == "step" else 0)
    parent.stdout.close()
    wait_until_gone(pids)
