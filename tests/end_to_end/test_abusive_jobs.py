"""Whole jobs on abusive environments: each ends soon, with what to blame in one line, and leaves no process."""

import pytest

from tests.end_to_end.job import Command
from tests.end_to_end.test_sebulba import TINY

JOB = (*TINY, "environment.factory=tests.environments.abuse:Abusive", "num_updates=10", "evaluation.enabled=false")
WORKERS = ("environment.vectorisation=processes", "environment.num_processes=2")


@pytest.mark.parametrize(
    ("code", "options", "message"),
    [
        pytest.param(
            2, "{does: exit_in_init}", "factory=tests.environments.abuse:Abusive failed: it called sys.exit(3)"
        ),
        pytest.param(1, "{does: os_exit}", "at env step 3, environment 0 of 2 failed: it called os._exit(0)"),
        pytest.param(1, "{closes: raise, at: 99, always: 1}", "MID from a reset", marks=pytest.mark.long),
        pytest.param(1, "{reward: nan}", "gave nan as its reward", marks=pytest.mark.long),
        pytest.param(1, "{reward: 1.0e+30}", "at env step 3, environment 0 of 2 gave 1e+30 as its reward"),
    ],
)
def test_the_environment_is_blamed_and_not_theta(code, options, message, podmeta: Command):
    said = podmeta.fails(code, "train", *JOB, f"environment.options={options}")
    assert message in said and "θ" not in said


@pytest.mark.long
def test_a_job_ends_though_its_environments_leave_threads(podmeta: Command):
    said = podmeta.succeeds("train", *JOB, "environment.options={does: thread_in_init}")
    assert "not waiting for a thread that an environment has left running: left over" in said


@pytest.mark.parametrize(
    ("keys", "code", "message"),
    [
        pytest.param((), -11, "if it crashed, environment.vectorisation=processes says which one"),
        pytest.param(WORKERS, 1, "by SIGSEGV", marks=pytest.mark.long),
    ],
    ids=["inline", "workers"],
)
def test_a_crash_is_explained(keys, code, message, podmeta: Command):
    done = podmeta.run("train", *JOB, *keys, "environment.options={does: crash}")
    assert done.returncode == code
    assert message in done.stderr.replace("\n", " ")
