"""Variables of JAX that change the meaning of a program: the same θ comes out, bit for bit."""

import os
import subprocess
import sys

from tests.end_to_end.job import REPOSITORY, TIMEOUT_S

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
JOBS = (
    (*LEARNER, *BANDIT, *EVOLUTION),
    (*LEARNER, *BANDIT, *ACTOR_CRITIC),
    (*LEARNER, *HOST, "environment.lifetime_length=8", *EVOLUTION),
)
PROGRAM = f"""
import sys
from podmeta.cli import main
from podmeta.runtime.run_files import read_evaluation, read_summary
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
