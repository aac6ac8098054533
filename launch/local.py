"""Starts one job as several processes on this machine, as if on as many hosts.

    python launch/local.py --processes 4 experiment=bandit devices.cpu=1

All other arguments go to `podmeta train`. The processes connect at a port of the loopback interface, which
no other machine can reach.
"""

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from podmeta.distributed.children import Lifeline
from podmeta.distributed.one_machine import free_port, share_of_cores, share_the_machine
from podmeta.distributed.signals import Interruption, SignalWatch
from podmeta.operating_system import STOP_SIGNALS
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode

_ADVICE = "what the job has saved is intact; to resume, add its run_dir to this command"
_EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Runs the job. The exit code is that of the first process that fails, or 0.

    Args:
      arguments: the words of the command line. None takes those of this process, and takes care of its signals and
        standard streams.
    """
    if arguments is None:
        Interruption(_ADVICE).watch()
        protect_streams()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, required=True, help="number of processes")
    options, job = parser.parse_known_args(arguments)
    if options.processes < 1:
        parser.error("--processes must be at least 1")
    code = run_together(make_commands(options.processes, free_port(), job))
    if code == _EXIT_INTERRUPTED:  # a process that was interrupted as it left has said nothing
        print(f"interrupted: {_ADVICE}", file=sys.stderr)
    return code


def make_commands(num_processes: int, port: int, job: list[str]) -> list[list[str]]:
    """The command line of every process."""
    start = [sys.executable, "-u", "-m", "podmeta", "train", *job]
    together = [f"distributed.coordinator_address=127.0.0.1:{port}", f"distributed.num_processes={num_processes}"]
    return [[*start, *together, f"distributed.process_id={index}"] for index in range(num_processes)]


def run_together(commands: Sequence[Sequence[str]]) -> int:
    """Runs all commands in parallel to their ends. Each line of output is prefixed with the command's number.

    SIGINT, SIGTERM and SIGHUP are forwarded to all of them. They end within 5 s if this process is killed.

    Returns:
      0 where all succeed, else the exit code of the first that has failed; 128 + n where signal n ended it.
    """
    with Lifeline() as lifeline:
        # In a session of its own, a process does not get the terminal's Ctrl-C beside ours.
        processes: list[subprocess.Popen[str]] = [
            lifeline.start(
                command,
                share_of_cores(len(commands)) | os.environ | {"PYTHONIOENCODING": "utf-8"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            for command in commands
        ]
        share_the_machine([process.pid for process in processes])  # before they have any threads, which inherit it

        def pass_on(number: int) -> None:
            for process in processes:
                process.send_signal(number)

        with SignalWatch(STOP_SIGNALS, pass_on):
            failures: list[int] = []
            threads = [threading.Thread(target=_follow, args=(*each, failures)) for each in enumerate(processes)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return failures[0] if failures else 0


def _follow(index: int, process: subprocess.Popen[str], failures: list[int]) -> None:
    """Shows what a process says until it ends; a failure is noted when it happens."""
    streams = [(process.stdout, sys.stdout), (process.stderr, sys.stderr)]
    threads = [threading.Thread(target=_show, args=(index, *each)) for each in streams]
    for thread in threads:
        thread.start()
    code = process.wait()
    if code != 0:
        failures.append(code if code > 0 else 128 - code)
    for thread in threads:
        thread.join()


def _show(index: int, source: TextIO, target: TextIO) -> None:
    for line in source:
        target.write(f"[{index}] {line}")
        target.flush()


if __name__ == "__main__":
    restart_in_utf8_mode()
    sys.exit(main())
