"""Stop requests with real signals, each in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def job(body: str):
    """A process, leader of its own group, that runs the body and has printed `ready`."""
    script = "import hashlib, os, signal, sys, time\nfrom podmeta.distributed.signals import StopRequest\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script + textwrap.dedent(body)],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
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
        process.stderr.close()


def rest_of_output(process: subprocess.Popen) -> str:
    process.wait(timeout=60)
    return process.stdout.read()


LOOP = """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    with StopRequest() as stop:
        print("ready", flush=True)
        while not stop.requested:
            time.sleep(0.01)
        print("saved after", stop.signal_name)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_lets_the_loop_end_cleanly(number):
    with job(LOOP) as process:
        process.send_signal(number)
        assert rest_of_output(process) == f"saved after {number.name}\n"
        assert process.returncode == 0


def test_a_second_interrupt_ends_a_process_that_is_inside_a_long_native_call():
    """The call checks for no signals, like a compiled program, so Python's own handlers cannot run."""
    body = """
        with StopRequest() as stop:
            stop.advice = "this is safe"
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
        assert process.stderr.read() == "interrupted twice: this is safe\n"


def test_what_the_main_thread_says_until_the_end_does_not_come_after_the_last_words():
    """The thread that ends the process pauses after it has spoken, as it may on a busy machine."""
    body = """
        leave = os._exit
        os._exit = lambda code: (time.sleep(0.2), leave(code))
        with StopRequest() as stop:
            stop.advice = "this is safe"
            print("ready", flush=True)
            while True:
                print("more", file=sys.stderr)
                print("more", flush=True)
                time.sleep(0.01)
    """
    with job(body) as process:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        out, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert set(out.splitlines()) == {"more"}
        assert said.splitlines()[-1] == "interrupted twice: this is safe"


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


def test_the_first_interrupt_ends_a_command_with_one_line_whatever_it_is_doing():
    body = """
        from podmeta.distributed.signals import Interruption
        Interruption("this is safe").watch()
        print("ready", flush=True)
        print("buffered", end="")
        try:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        finally:
            print("a destructor ran")
    """
    with job(body) as process:
        time.sleep(0.5)  # until it is inside the call
        process.send_signal(signal.SIGINT)
        assert rest_of_output(process) == "buffered"
        assert process.returncode == 130
        assert process.stderr.read() == "interrupted: this is safe\n"


def test_a_stop_within_a_command_replaces_what_an_interrupt_does_and_gives_it_back():
    body = """
        from podmeta.distributed.signals import Interruption
        Interruption("this is safe").watch()
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            while not stop.requested:
                time.sleep(0.01)
        print("ready", flush=True)
        time.sleep(1000)
    """
    with job(body) as process:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        assert (process.returncode, process.stderr.read()) == (130, "interrupted: this is safe\n")


def test_a_hangup_that_is_ignored_as_under_nohup_stays_ignored():
    body = """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with StopRequest() as stop:
            print("ready", flush=True)
            time.sleep(0.5)
            print(stop.requested)
        print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
    """
    with job(body) as process:
        process.send_signal(signal.SIGHUP)
        assert rest_of_output(process) == "False\nTrue\n"


def test_outside_the_main_thread_there_are_no_signals_and_no_error():
    body = """
        import threading
        def enter():
            with StopRequest() as stop:
                print("ready", stop.requested, flush=True)
        thread = threading.Thread(target=enter)
        print("ready", flush=True)
        thread.start()
        thread.join()
    """
    with job(body) as process:
        assert rest_of_output(process) == "ready False\n"
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
            while not again.requested:
                time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        print("done")
    """
    with job(body) as process:
        assert rest_of_output(process) == "mine\ndone\n"
