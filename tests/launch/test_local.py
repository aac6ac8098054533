"""Several processes on this machine: their arguments, their output, and how they end."""

import os
import signal
import subprocess
import sys

import pytest

from launch.local import make_commands, run_together
from podmeta.config.compose import compose_job
from podmeta.distributed.one_machine import cores_of_processes
from tests.end_to_end.job import REPOSITORY


def script(text):
    return [sys.executable, "-u", "-c", text]


def test_every_process_is_told_of_all_and_which_it_is():
    commands = make_commands(3, 5000, ["experiment=bandit", "seed=4"])
    jobs = [compose_job(command[command.index("train") + 1 :]) for command in commands]
    assert [job.distributed.process_id for job in jobs] == [0, 1, 2]
    for job in jobs:
        assert (job.experiment_name, job.seed, job.distributed.num_processes) == ("bandit", 4, 3)
        assert job.distributed.coordinator_address == "127.0.0.1:5000"


def test_lines_stand_behind_the_number_of_the_process(capsys):
    talk = "import sys; print('out', {0}); print('err', {0}, file=sys.stderr)"
    assert run_together([script(talk.format(0)), script(talk.format(1))]) == 0
    said = capsys.readouterr()
    assert sorted(said.out.splitlines()) == ["[0] out 0", "[1] out 1"]
    assert sorted(said.err.splitlines()) == ["[0] err 0", "[1] err 1"]


def test_the_exit_code_is_that_of_the_first_process_that_fails(capsys):
    late = script("import time; time.sleep(1); raise SystemExit(7)")
    assert run_together([late, script("raise SystemExit(3)"), script("pass")]) == 3
    killed = script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run_together([script("pass"), killed]) == 128 + signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="a policy of Linux")
def test_no_process_interrupts_another_when_it_is_woken_or_takes_its_cores(capsys):
    # It is set once all have started, so each looks a while later, from a thread of its own.
    look = "import os, threading, time; time.sleep(1); threading.Thread(target=lambda: print({})).start()"
    assert run_together([script(look.format("os.sched_getscheduler(0), *os.sched_getaffinity(0)"))] * 2) == 0
    expected = [
        " ".join(map(str, (f"[{index}]", os.SCHED_BATCH, *cores))) for index, cores in enumerate(cores_of_processes(2))
    ]
    assert sorted(capsys.readouterr().out.splitlines()) == expected


def test_signals_reach_every_process():
    waiting = "import signal; signal.signal(15, lambda *_: exit(5)); print('ready'); signal.pause()"
    starting = f"from launch.local import run_together; exit(run_together([{script(waiting)!r}] * 2))"
    process = subprocess.Popen(
        script(starting), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    process.stdout.readline(), process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 5


def test_an_interrupted_launcher_says_so_even_if_its_processes_do_not():
    heeding = "signal.signal(2, signal.SIG_DFL); signal.pthread_sigmask(signal.SIG_UNBLOCK, {2})"
    waiting = script(f"import signal, time; {heeding}; print('ready'); time.sleep(1000)")
    starting = f"import launch.local as m; m.make_commands = lambda *_: [{waiting!r}] * 2; exit(m.main())"
    process = subprocess.Popen(
        [*script(starting), "--processes", "2"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    process.stdout.readline(), process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.startswith("interrupted: what the job has saved is intact") and said.count("\n") == 1


def test_wrong_input_is_told_by_every_process_and_exits_with_2():
    command = [sys.executable, "launch/local.py", "--processes", "2", "experiment=bandti"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 2
    assert all(f"[{index}] error: experiment=bandti does not exist" in done.stderr for index in range(2))
