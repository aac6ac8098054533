"""Variables that change the meaning of a program: the same θ comes out, bit for bit, and texts are UTF-8."""

import os
import subprocess
import sys

import pytest

from tests.end_to_end.job import JOB, REPOSITORY, TIMEOUT_S, checkpoint_steps, digest

SURROUNDINGS = {
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
}
LEARNER = ("learner=recurrent", "learner.cell=gru", "learner.hidden_size=2", "num_updates=2", "devices.cpu=2")
BANDIT = ("environment=bandit", "environment.lifetime_length=8")
HOST = (
    "architecture=sebulba",
    "architecture.actor_threads=1",
    "environment.factory=tests.environments.host.factories:Script",
)
EVOLUTION = ("outer.population_size=8", "outer.lifetimes_per_member=1", "outer.noise_std=1")
ACTOR_CRITIC = ("outer=actor_critic", "outer.num_lifetimes=8", "outer.unroll_length=4")
UNTESTED = "evaluation.enabled=false"  # one meta-test is enough: it does not depend on what has trained θ
JOBS = (
    (*LEARNER, *BANDIT, *EVOLUTION),
    (*LEARNER, *BANDIT, *ACTOR_CRITIC, UNTESTED),
    (*LEARNER, *HOST, "environment.lifetime_length=8", *EVOLUTION, UNTESTED),
)
PROGRAM = f"""
import sys
from podmeta.cli import main
from podmeta.storage.run_files import read_evaluation, read_summary
from pathlib import Path

root = Path(sys.argv[1])
for index, job in enumerate({JOBS!r}):
    quiet = ["logging.progress=false", "logging.tensorboard=false"]
    quiet += ["evaluation.num_tasks=4", "evaluation.settings=[{{}}]"]
    run = root / str(index)
    code = main(["train", *job, *quiet, f"run_dir={{run}}"])
    assert code == 0, code
    print(index, read_summary(run).meta_params_sha256, [row.mean for row in read_evaluation(run)])
"""


@pytest.mark.long
def test_theta_and_results_are_the_same_in_any_surroundings(tmp_path):
    common = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / name)],
            env=common | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=REPOSITORY,
        )
        for name, variables in (("plain", {}), ("other", SURROUNDINGS))
    ]
    ends = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    for process, (_, errors) in zip(processes, ends, strict=True):
        assert process.returncode == 0, errors
    plain, other = ([line for line in said.splitlines() if line[:2] in ("0 ", "1 ", "2 ")] for said, _ in ends)
    assert len(plain) == len(JOBS)
    assert plain == other


@pytest.mark.parametrize(
    "locale",
    [
        pytest.param({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, id="C"),
        pytest.param({"PYTHONIOENCODING": "ascii"}, id="ascii", marks=pytest.mark.long),
        pytest.param({"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}, id="latin-1", marks=pytest.mark.long),
    ],
)
def test_a_run_whose_path_is_not_ascii_is_made_and_read_in_any_locale(podmeta, finished_run, tmp_path, locale):
    run = tmp_path / "Läufe θ"
    surroundings = podmeta.variables | locale
    for command in (["train", *JOB, f"run_dir={run}"], ["report", str(run)]):
        done = subprocess.run([*podmeta.program, *command], cwd=tmp_path, env=surroundings, capture_output=True)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert {path.name for path in tmp_path.iterdir()} == {run.name, "report.html"}
    assert digest(run) == digest(finished_run)
    assert checkpoint_steps(run) == checkpoint_steps(finished_run)
