"""Wrong input: one line that names the key or file and the cure, exit code 2, and nothing written."""

import os
import shutil

import pytest

from podmeta.cli import main
from podmeta.config.compose import compose_job
from podmeta.training.loop import train
from tests.end_to_end.job import JOB, TINY, digest

HERE = "devices.cpu=4"
"""The devices of the tests' own process, for a command that comes as far as them."""

# What is found while a job is composed. No process is needed to see it, for jax is not imported before that. Values of
# each kind are tried in tests/config/test_wrong_values.py, and every bound in tests/config/test_validate.py.
COMPOSED = {
    # names
    "experiment=bandti": ["experiment=bandti does not exist", "Did you mean bandit?"],
    "learner=symetric": ["learner=symetric does not exist", "Did you mean symmetric"],
    "environment=frogger": ["environment=frogger does not exist", "Choose one of: ", " bandit,"],
    "outer=evolutoin": ["outer=evolutoin does not exist", "evolution"],
    "architecture=anakim": ["architecture=anakim does not exist", "anakin"],
    "learner=null": ["learner=null does not exist", "symmetric"],
    "learner.name=recurrent": ["learner.name=recurrent", "learner=recurrent"],
    # keys
    "sead=1": ["unknown config key 'sead'", "Did you mean seed?"],
    "learner.hidden_sise=4": ["unknown config key 'learner.hidden_sise'", "learner.hidden_size"],
    "+extra=1": ["unknown config key 'extra'"],
    "+learner.extra=1": ["unknown config key 'learner.extra'"],
    "outer.learning_rate_schedule.nam=linear": [
        "outer.learning_rate_schedule.nam",
        "outer.learning_rate_schedule.name",
    ],
    "hydra.run.dir=here": ["hydra.run.dir", "run_dir"],
    # how it is written
    "seed": ["'seed'", "KEY=VALUE"],
    "--seed=1": ["'--seed=1'", "KEY=VALUE"],
    "seed=[": ["'seed=['", "KEY=VALUE"],
    # types
    "learner.hidden_size=big": ["learner.hidden_size", "big"],
    # values
    "outer.population_size=7": ["outer.population_size=7 does not divide into antithetic pairs", "take 8"],
    "outer.learning_rate=nan": ["outer.learning_rate=nan", "finite"],
    "outer.learning_rate=-1": ["outer.learning_rate=-1", "above 0"],
    "num_updates=-2": ["num_updates=-2", "at least"],
    "num_updates=99999999999": ["num_updates=99999999999", "at most"],
    "learner.hidden_layers=[4, 0]": ["learner.hidden_layers=0", "at least 1"],
    "resume=maybe": ["resume=maybe", "auto, never"],
    "architecture.instance_seeds=[1, 2]": ["architecture.instance_seeds", "architecture.num_instances=1"],
    "environment.distribution=dependent_easy": ["environment.distribution=dependent_easy", "environment.num_arms=2"],
    "evaluation.settings=[]": ["evaluation.settings", "evaluation.enabled=false"],
    "evaluation.settings=[{num_arm: 3}]": ["evaluation.settings", "num_arm"],
    "evaluation.settings=[{num_arms: many}]": ["evaluation.settings", "num_arms", "many"],
    "evaluation.settings=[{num_arms: -3}]": ["evaluation.settings", "num_arms=-3", "at least 2"],
}


@pytest.mark.long
@pytest.mark.parametrize("override", COMPOSED)
def test_what_is_wrong_on_the_command_line_is_told_before_anything_starts(override, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "experiment=bandit", override]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert [part for part in COMPOSED[override] if part not in printed] == [], printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["trian"], ["'trian'", "train"]),
        (["evaluate"], ["run="]),
        (["evaluate", "run={run}", "suite=task"], ["suite=task", "tasks", "in_distribution"]),
        (["evaluate", "run=nowhere"], ["nowhere/config.yaml", "directory of a run"]),
        (["evaluate", "run={run}", "evaluation.num_task=4"], ["evaluation.num_task", "evaluation.num_tasks"]),
        (["evaluate", "run={run}", "evaluation.settings=[{"], ["evaluation.settings=[{", "KEY=VALUE"]),
        (["evaluate", "run={run}", "evaluation.num_tasks=some"], ["evaluation.num_tasks", "some"]),
        (["bench", "everything"], ["core", "anakin", "agent", "memory"]),
        (["plan", "experiment=bandit"], ["topology=v5e:16x16"]),
        (["plan", "experiment=bandit", "topology=v5e:3x5"], ["topology=v5e:3x5", "v5e:4x4"]),
        (["plan", "experiment=bandit", "topology=v5e:2x2", "stage=last"], ["stage="]),
        (["plan", "experiment=bandti", "topology=v5e:2x2"], ["experiment=bandti", "bandit"]),
    ],
)
def test_wrong_commands_are_told(arguments, parts, capsys, finished_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([argument.replace("{run}", str(finished_run)) for argument in arguments]) == 2
    printed = capsys.readouterr().err
    assert [part for part in parts if part not in printed] == [], printed


def test_keys_that_the_schema_leaves_open_can_be_set_as_any_other(refused, tmp_path):
    said = refused("train", *JOB, HERE, "outer.optimiser_arguments={b7: 0.9}", f"run_dir={tmp_path}/run")
    assert "outer.optimiser_arguments" in said and "b7" in said
    assert not (tmp_path / "run").exists()


# What is found once the devices are there.
MACHINE = [
    (["outer.optimiser=adamm"], ["outer.optimiser='adamm'", "adam"]),
    (
        ["environment=gymnax", "environment.id=CartPol-v1", "evaluation.settings=[{}]"],
        ["environment.id", "CartPole-v1"],
    ),
    (["learner=recurrent", "evaluation.enabled=true"], ["evaluation.settings", "learner.name=recurrent"]),
    (["environment.failure_reward=true"], ["failure_reward=false", "never end"]),
    (
        ["evaluation.enabled=true", "evaluation.settings=[{failure_reward: true}]"],
        ["evaluation.settings", "failure_reward=false"],
    ),
]


@pytest.mark.parametrize(("overrides", "parts"), MACHINE)
def test_what_does_not_fit_is_told_before_a_run_directory_is_made(refused, tmp_path, overrides, parts):
    said = refused("train", *JOB, HERE, f"run_dir={tmp_path}/run", *overrides)
    assert [part for part in parts if part not in said] == [], said
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_population_that_does_not_fit_the_devices_is_told(podmeta, tmp_path):
    said = podmeta.fails(2, "train", *JOB, f"run_dir={tmp_path}/run", "devices.cpu=3")
    assert "outer.population_size=8" in said and "3 devices" in said and "take 6" in said
    assert not (tmp_path / "run").exists()


MIXED = [
    ("[{environment: bandit, weight: -1}]", ["environment.entries[0].weight=-1", "at least 0"]),
    ("[{environment: bandit, weight: 0}]", ["environment.entries all have weight 0", "give one a positive weight"]),
    ("[{num_arms: 3}]", ["environment.entries[0] has no environment", "name one"]),
]


@pytest.mark.parametrize(("entries", "parts"), MIXED)
def test_a_mixture_that_makes_no_sense_is_told(entries, parts, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "environment=mixture", f"environment.entries={entries}"]) == 2
    printed = capsys.readouterr().err
    assert [part for part in parts if part not in printed] == [], printed
    assert not list(tmp_path.iterdir())


UNFIT = [
    (
        [
            "learner=recurrent",
            "stages=[{environment: bandit, num_updates: 1}, {environment: cartpole, num_updates: 1}]",
        ],
        [
            "tied to sizes",
            "stages[1] (gymnax",
            "pad every",
            "padded_observation_size=4 and padded_num_actions=5",
        ],
    ),
    (
        ["outer=actor_critic", "environment.lifetime_length=50"],
        ["outer.unroll_length=100 does not divide lifetime_length=50", "such as 50"],
    ),
    (
        ["outer=actor_critic", "outer.num_minibatches=3"],
        ["outer.num_lifetimes=64", "3 minibatches on each", "take 60, or another multiple of 12"],
    ),
]


@pytest.mark.parametrize(("overrides", "parts"), UNFIT)
def test_learners_and_lengths_that_do_not_fit_are_told(refused, tmp_path, overrides, parts):
    said = refused("train", HERE, f"run_dir={tmp_path}/run", *overrides)
    assert [part for part in parts if part not in said] == [], said
    assert not (tmp_path / "run").exists()


def test_a_platform_that_is_not_there_is_told(podmeta, tmp_path):
    said = podmeta.fails(2, "train", *JOB, f"run_dir={tmp_path}/run", JAX_PLATFORMS="cuda")
    assert "JAX_PLATFORMS=cuda" in said
    assert "JAX_PLATFORMS=cpu" in said


@pytest.mark.long
def test_a_run_directory_that_cannot_be_written_is_told(podmeta, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    said = podmeta.fails(2, "train", *JOB, f"run_dir={tmp_path}/file")
    assert f"run_dir {tmp_path}/file cannot be written" in said
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_run_directory_without_permission_is_told(podmeta, tmp_path):
    tmp_path.chmod(0o500)
    assert "Permission denied" in podmeta.fails(2, "train", *JOB, f"run_dir={tmp_path}/run")


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (
            ["outer.learning_rate=0.5", "seed=7"],
            ["outer.learning_rate: 0.03 there, 0.5 now", "seed: 0 there, 7 now", "choose another run_dir"],
        ),
        (["experiment_name=other"], ["belongs to another experiment", "'bandit' there and 'other' now"]),
        (["resume=never"], ["resume=never", "holds checkpoints"]),
    ],
)
def test_the_run_of_another_job_is_refused_and_left_as_it_is(refused, finished_run, tmp_path, overrides, parts):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}
    said = refused("train", *JOB, HERE, f"run_dir={run}", *overrides)
    assert [part for part in parts if part not in said] == [], said
    assert all(path.read_bytes() == content for path, content in before.items())
    assert digest(run) == digest(finished_run)


def test_a_recurrent_learner_cannot_be_tested_on_other_sizes(refused, tmp_path):
    run = tmp_path / "run"
    job = compose_job([*TINY, HERE, "learner=recurrent", "num_updates=0", f"run_dir={run}"])
    train(job, lambda line: None)
    said = refused("evaluate", f"run={run}", "evaluation.settings=[{num_arms: 7}]")
    assert "learner.name=recurrent" in said and "learner=symmetric" in said
    assert not (run / "evaluation.jsonl").exists()
