"""What `podmeta train --dry-run` says of a job, against what training it would build. Nothing is trained."""

import jax
import pytest

from podmeta.cli import main
from podmeta.config.compose import compose_job
from podmeta.errors import InputError
from podmeta.inner_loop import build_inner_loop
from podmeta.keys import make_key
from podmeta.planning.dry_run import dry_run
from tests.end_to_end.job import TINY

SEBULBA = (
    "architecture=sebulba",
    "learner=recurrent",
    "learner.hidden_size=2",
    "environment.factory=tests.environments.host.factories:Script",
    "environment.lifetime_length=8",
    "outer=actor_critic",
    "outer.num_lifetimes=32",
    "outer.unroll_length=4",
)


def size_of_meta_params(job):
    inner_loop = build_inner_loop(job.learner, job.environment)
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(inner_loop.init, make_key(0))))


@pytest.mark.long
def test_it_says_what_would_be_trained_and_what_that_needs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("podmeta.distributed.set_up.set_up", lambda job, warn: None)
    monkeypatch.setenv("COLUMNS", "200")
    words = [*TINY, "num_updates=1400", f"run_dir={tmp_path / 'run'}"]
    assert main(["train", "--dry-run", *words]) == 0
    said = capsys.readouterr()
    job = compose_job(words)
    shown = ("bandit, lifetimes of 10 env steps", "1,400", f"symmetric, {size_of_meta_params(job):,} parameters", "80")
    assert [part for part in (*shown, "memory per device") if part not in said.out] == [], said.out
    assert "nothing was trained" in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_every_stage_of_every_instance_is_compiled():
    stages = "stages=[{environment: bandit, num_arms: 2, num_updates: 3}, {environment: bandit, num_updates: 5}]"
    job = compose_job([*TINY, "num_updates=8", "architecture.num_instances=2", stages])
    told = []
    found = dry_run(job, told.append)
    assert [stage.num_updates for stage in found.stages] == [3, 5]
    assert [stage.name in line for stage, line in zip(found.stages, told, strict=True)] == [True, True]
    assert found.num_instances == 2 and found.num_meta_params == size_of_meta_params(compose_job(list(TINY)))
    for stage in found.stages:
        assert stage.memory is not None and stage.memory.total > 0


def test_a_job_on_sebulba_is_built(capsys):
    job = compose_job(list(SEBULBA))
    (stage,) = dry_run(job, lambda line: None).stages
    assert stage.memory is None
    assert stage.environments == ("factory/tests.environments.host.factories:Script, lifetimes of 8 env steps",)
    assert stage.env_steps_per_update == 32 * 4


def test_what_does_not_fit_the_devices_is_refused_as_in_training():
    with pytest.raises(InputError, match="population_size=6"):
        dry_run(compose_job([*TINY, "outer.population_size=6"]), lambda line: None)


@pytest.mark.parametrize(("flag", "named"), [("--dry-run", "--dry-run"), ("--cfg=job", "--cfg job")])
def test_it_is_for_one_job(flag, named, capsys):
    assert main(["train", flag, "-m", "seed=0,1"]) == 2
    assert f"{named} is for one job" in capsys.readouterr().err
