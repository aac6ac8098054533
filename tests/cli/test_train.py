"""`podmeta train`: which job its words describe. That it trains is for the end-to-end tests."""

import shlex
from pathlib import Path

import pytest
import yaml

from podmeta.cli import main, train
from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.storage.signature import sign


def make_run(path: Path, *overrides: str, own: bool = True) -> Path:
    """A run directory that holds the config of a job, which the user has signed or not."""
    config = job_to_yaml(compose_job([*overrides, f"run_dir={path}"]))
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(config, encoding="utf-8")
    if own:
        sign(path, config)
    return path


def printed_job(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["train", *words, "--cfg", "job"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.fixture
def refused(capsys):
    def refuse(*words: str) -> str:
        assert main(["train", *words]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith("error: ")
        return said.err

    return refuse


def test_cfg_prints_the_job_that_would_be_trained_and_trains_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("experiment=bandit", "seed=3", "outer.learning_rate=0.5")
    assert main(["train", "--cfg", "job", *words]) == 0
    assert capsys.readouterr().out == job_to_yaml(compose_job(list(words)))
    assert not list(tmp_path.iterdir())


def test_cfg_refuses_a_wrong_key_and_a_sweep(refused):
    assert "learner.hidden_size" in refused("--cfg", "job", "learner.hidden_sise=3")
    assert "leave out --multirun" in refused("--cfg", "job", "-m", "seed=0,1")
    assert "'job'" in refused("--cfg", "hydra")


@pytest.mark.parametrize("word", ["run_dir={}", "run_dir='{}'", "run_dir={}/"])
def test_run_dir_alone_takes_the_job_of_the_run(word, capsys, tmp_path):
    run = make_run(tmp_path / "a run, of θ", "experiment=bandit", "seed=5", "resume=never", "devices.cpu=3")
    job = printed_job(capsys, word.format(run))
    assert (job["experiment_name"], job["seed"], Path(job["run_dir"])) == ("bandit", 5, run)
    assert job["resume"] == "auto"
    assert job["devices"]["cpu"] == 3, "with another number of devices, θ would differ in its last bits"


def test_run_dir_alone_goes_on_where_the_run_is_now(capsys, tmp_path):
    make_run(tmp_path / "before", "experiment=bandit").rename(tmp_path / "now")
    job = printed_job(capsys, f"run_dir={tmp_path / 'now'}", "devices.cpu=2")
    assert (Path(job["run_dir"]), job["devices"]["cpu"]) == (tmp_path / "now", 2)


def test_run_dir_with_any_key_of_the_job_describes_the_job_by_these(capsys, tmp_path):
    run = make_run(tmp_path / "run", "experiment=bandit", "seed=5")
    assert printed_job(capsys, f"run_dir={run}", "experiment=bandit")["seed"] == 0


@pytest.mark.parametrize("name", ["nowhere", "empty", "it's no run"])
def test_run_dir_alone_needs_a_run_there(name, refused, tmp_path):
    (tmp_path / "empty").mkdir()
    said = refused(f"run_dir={tmp_path / name}")
    assert "holds no run to resume" in said
    command = shlex.split(said.partition("To start one: ")[2])
    assert command == ["podmeta", "train", "experiment=NAME", f"run_dir={tmp_path / name}"]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("word", ["run_dir", "run_dir.x=1", "+run_dir=a"])
def test_what_names_no_run_dir_is_an_override_like_any_other(word, refused):
    assert "run_dir" in refused(word)


CODE = ("environment.factory=os:mkdir", "environment.lifetime_length=10", "architecture=sebulba")
NAMING_CODE = {
    "trained": CODE,
    "tested": ("evaluation.settings=[{environment: factory, factory: 'os:mkdir', lifetime_length: 10}]",),
    "mixed": (
        "environment=mixture",
        "architecture=sebulba",
        "environment.entries=[{environment: factory, factory: 'os:mkdir', lifetime_length: 10}]",
    ),
    "stage": (
        "architecture=sebulba",
        "stages=[{environment: gymnasium/CartPole-v1, num_updates: 1}, {environment: 'gymnasium/left:Maze-v0', "
        "num_updates: 1}]",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("place", list(NAMING_CODE))
def test_a_run_of_somebody_else_that_names_code_needs_trust(place, refused, capsys, tmp_path):
    run = make_run(tmp_path / "theirs", *NAMING_CODE[place], own=False)
    said = refused(f"run_dir={run}")
    assert "names code to run" in said and "If you trust it, add --trust" in said
    assert printed_job(capsys, f"run_dir={run}", "--trust")["run_dir"] == str(run)


@pytest.mark.parametrize("overrides", [(), CODE])
def test_a_run_of_ones_own_needs_none(overrides, capsys, tmp_path):
    run = make_run(tmp_path / "own", *overrides)
    assert printed_job(capsys, f"run_dir={run}")["run_dir"] == str(run)


def test_a_run_of_somebody_else_that_names_no_code_needs_none(capsys, tmp_path):
    run = make_run(tmp_path / "theirs", "experiment=bandit", "devices.cpu=3", own=False)
    job = printed_job(capsys, f"run_dir={run}")
    assert job["run_dir"] == str(run) and job["devices"]["cpu"] == 0


@pytest.mark.parametrize(
    ("path", "words", "expected"),
    [
        ("/runs/a", ["experiment=bandit", "seed=1"], "podmeta train run_dir=/runs/a"),
        ("/runs/a b", ["experiment=bandit", "devices.cpu=2"], "podmeta train 'run_dir=/runs/a b' devices.cpu=2"),
    ],
)
def test_the_command_that_goes_on_names_the_run_and_its_devices(path, words, expected):
    assert train._go_on(Path(path), words) == expected
