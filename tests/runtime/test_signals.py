"""Stop requests with real signals, each in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def job(body: str):
    """A process, leader of its own group, that runs the body and has printed `ready`."""
    script = "import hashlib, os, signal, sys, time\nfrom podmeta.runtime.signals import StopRequest\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script + textwrap.dedent(body)],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def rest_of_output(process: subprocess.Popen) -> str:
    process.wait(timeout=60)
    return process.stdout.read()


LOOP = """
    with StopRequest() as stop:
        print("ready", flush=True)
        while not stop.requested:
            time.sleep(0.01)
        print("saved after", stop.signal_name)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_lets_the_loop_end_cleanly(number):
    with job(LOOP) as process:
        process.send_signal(number)
        assert rest_of_output(process) == f"saved after {number.name}\n"
        assert process.returncode == 0


def test_a_second_interrupt_ends_a_process_that_is_inside_a_long_native_call():
    """The call checks for no signals, like a compiled program, so Python's own handlers cannot run."""
    body = """
        with StopRequest() as stop:
            print("ready", flush=True)
            print("buffered", end="")
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    """
    with job(body) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        assert rest_of_output(process) == "buffered"
        assert process.returncode == 130


def test_a_termination_and_one_interrupt_do_not_end_it_at_once():
    body = """
        with StopRequest() as stop:
            print("ready", flush=True)
            while not stop.requested:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)
            print("saved after", stop.signal_name)
    """
    with job(body) as process:
        process.send_signal(signal.SIGTERM)
        assert rest_of_output(process) == "saved after SIGTERM\n"
        assert process.returncode == 0


def test_ctrl_c_in_a_terminal_reaches_the_workers_too_and_counts_once():
    """The group gets the signal. The forked worker works on, and dies of SIGTERM as its parent may wish."""
    body = """
        with StopRequest() as stop:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                while True:
                    time.sleep(0.01)
                    os.write(writing, b"x")
            os.read(reading, 1)
            print("ready", flush=True)
            while not stop.requested:
                time.sleep(0.01)
            time.sleep(0.5)
            os.read(reading, 10**6)
            print("worker lives" if os.read(reading, 1) else "worker is dead")
            os.kill(child, signal.SIGTERM)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print("left", stop.signal_name)
    """
    with job(body) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert rest_of_output(process) == f"worker lives\n{-signal.SIGTERM}\nleft SIGINT\n"
        assert process.returncode == 0


def test_leaving_restores_what_was_there_even_while_a_worker_lives():
    body = """
        print("ready", flush=True)
        signal.signal(signal.SIGINT, lambda number, frame: print("mine"))
        with StopRequest() as stop:
            child = os.fork()
            if not child:
                time.sleep(1000)
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.requested
        assert signal.set_wakeup_fd(-1) == -1
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with StopRequest() as again:
            os.kill(os.getpid(), signal.SIGINT)
            assert again.requested
        os.kill(child, signal.SIGKILL)
        print("done")
    """
    with job(body) as process:
        assert rest_of_output(process) == "mine\ndone\n"
