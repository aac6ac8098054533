"""Ctrl-C outside of training: one line that says what is safe and which command goes on, and exit code 130."""

import json
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.end_to_end.job import TIMEOUT_S, TINY, Command, read_rows, read_until

# It says when podmeta begins to be imported. A signal before that reaches Python alone.
ENTRY = "import os, sys, podmeta.cli; os.write(2, b'started\\n'); sys.exit(podmeta.cli.main())"
SECONDS_TO_END = 5.0
MANY_SETTINGS = "evaluation.settings=[{num_arms: 2}, {num_arms: 3}, {num_arms: 4}]"


# Python drops a KeyboardInterrupt that is raised in the callback of a weak reference, such as its import system has.
INTERRUPTED_IN_CALLBACK = """
import os, signal, sys, weakref, podmeta.cli
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "podmeta.distributed.signals":
            subject = Finder()
            reference = weakref.ref(subject, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del subject
sys.meta_path.insert(0, Finder())
sys.exit(podmeta.cli.main())
"""


def interrupt(podmeta: Command, arguments: list[str], seconds: float) -> tuple[int, str]:
    """Starts a command and interrupts it that long after; returns its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, *arguments],
        cwd=podmeta.folder,
        env=podmeta.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    read_until(process, "started")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert time.monotonic() - start < SECONDS_TO_END
    return process.returncode, said


@pytest.mark.parametrize("moments", [(0.0, 0.1), pytest.param((0.1, 1.0), marks=pytest.mark.long), (1.0, 4.0)])
def test_evaluate_ends_with_one_line_at_any_moment(podmeta, finished_run, tmp_path, moments):
    shutil.copytree(finished_run, tmp_path / "run")
    seed = random.randrange(2**32)
    command = ["evaluate", f"run={tmp_path}/run", MANY_SETTINGS, "evaluation.num_tasks=1000"]
    code, said = interrupt(podmeta, command, random.Random(seed).uniform(*moments))
    assert code == 130, f"{said}, random.Random({seed})"
    said = "".join(line for line in said.splitlines(keepends=True) if not line.startswith("meta-test "))
    assert said.startswith("interrupted: ") and said.count("\n") == 1, f"{said}, random.Random({seed})"
    if "nothing had started" not in said and "the same command starts again" not in said:
        assert shlex.join(["podmeta", *command]) in said


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}])
def test_an_early_interrupt_that_python_would_drop_ends_the_command(podmeta, locale):
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_CALLBACK, "list"],
        cwd=podmeta.folder,
        env=podmeta.variables | locale,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert ended.returncode == 130, ended
    assert ended.stderr.startswith("interrupted: ") and ended.stderr.count("\n") == 1, ended


@pytest.mark.long
def test_an_interrupted_meta_test_keeps_its_rows_and_is_made_up(podmeta, tmp_path):
    run, rows = tmp_path / "run", tmp_path / "run" / "evaluation.jsonl"
    process = podmeta.start("train", *TINY, "num_updates=4", f"run_dir={run}", MANY_SETTINGS)
    end = time.monotonic() + TIMEOUT_S
    while not rows.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    last = said.splitlines()[-1]
    assert last.startswith("interrupted: θ and what the meta-test has measured so far are in"), said
    kept = read_rows(rows)
    assert kept[0]["setting"]["num_arms"] == 2

    podmeta.succeeds(*shlex.split(last.partition("to resume: podmeta ")[2]))
    tested = [json.dumps([row["setting"], row["algorithm"], row["metric"]]) for row in read_rows(rows)]
    assert len(tested) == len(set(tested))
    assert {row["setting"]["num_arms"] for row in read_rows(rows)} == {2, 3, 4}


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        *(
            pytest.param(command, marks=pytest.mark.long)
            for command in (
                ["--help"],
                ["train", "--help"],
                ["compare", "{run}"],
                ["report", "{run}", "to={run}/page.html"],
                ["export", "run={run}", "to={run}/theta.npz"],
                ["play", "agent=symla-bandit", "environment=bandit"],
                ["bench", "core"],
                ["plan", "experiment=bandit", "topology=v5e:1x1"],
            )
        ),
    ],
)
def test_other_commands_end_without_a_traceback_at_any_moment(podmeta, finished_run, tmp_path, command):
    shutil.copytree(finished_run, tmp_path / "run")
    arguments = [argument.format(run=tmp_path / "run") for argument in command]
    for longest in (0.1, 0.5, 3.0):
        moment = random.uniform(0.0, longest)
        code, said = interrupt(podmeta, arguments, moment)
        assert "Traceback" not in said, (moment, said)
        # 2: `plan` where there is no libtpu, and `compare` of a run without a meta-test.
        assert code in (130, -signal.SIGINT) or code in (0, 2), (moment, said)
        if code == 130:
            assert said.splitlines()[-1].startswith("interrupted: "), (moment, said)
