"""Runs of somebody else whose configs name code: no command runs it without the user's word.

The code leaves a file, so that it shows. Files of pickles and modules lie where Python and the config find them.
"""

import bz2
import functools
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import podmeta
from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.errors import InputError
from podmeta.evaluation.run import load_companion
from podmeta.storage.signature import sign
from podmeta.storage.trust import read_run
from tests.end_to_end.job import TINY
from tests.end_to_end.test_damaged_runs import begin_from, command, unchanged_settings

JOB = (*TINY, "devices.cpu=4", "num_updates=4", "evaluation.settings=[{}]", "logging.progress=false")
UNTESTED = (*JOB, "evaluation.enabled=false")
SIZES = ("learner.hidden_size=4", "environment.lifetime_length=10", "evaluation.num_tasks=8")
FACTORY = ("environment.factory=os:mkdir", "architecture=sebulba")
OPTIONS = "environment.options={{path: '{mark}'}}"
HOSTILE = {
    "factory": (*SIZES, *FACTORY, OPTIONS),
    "factory of a module": (*SIZES, "environment.factory=left_behind:make", "architecture=sebulba"),
    "setting": (
        *SIZES,
        "evaluation.settings=[{{environment: factory, lifetime_length: 10, factory: 'os:mkdir', options: "
        "{{path: '{mark}'}}}}]",
    ),
    "module": (*SIZES, "environment=gymnasium", "environment.id=left_behind:Maze-v0", "architecture=sebulba"),
    "benchmark": (*SIZES, "environment=xland", "environment.view_size=3", "environment.benchmark='{benchmark}'"),
}


LEARNER = ("learner.factory=os:mkdir", "learner.options={{path: '{mark}'}}")
MARK, BENCHMARK = "PLACE_OF_THE_MARK", "PLACE_OF_THE_BENCHMARK"


@functools.cache
def config_with(words: tuple[str, ...]) -> str:
    """The `config.yaml` of a job with these words, in which the places are still to be put: composing takes long."""
    placed = [word.format(mark=MARK, benchmark=BENCHMARK) for word in words]
    return job_to_yaml(compose_job(["experiment=bandit", "evaluation.settings=[{}]", *placed]))


class Mark:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self._path),)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that was meta-tested."""
    path = tmp_path_factory.mktemp("sound") / "sound_0"
    with unchanged_settings():
        code, said = command("train", *JOB, f"run_dir={path}")
    assert code == 0, said
    return path


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What hostile code makes."""
    return tmp_path / "mark"


@pytest.fixture(params=list(HOSTILE))
def foreign(
    request: pytest.FixtureRequest, sound: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A run of somebody else, whose signature is of another key."""
    if request.param == "benchmark":
        pytest.importorskip("xminigrid")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "left_behind.py").write_text(f"import os; os.mkdir({str(mark)!r})\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    with bz2.open(tmp_path / "benchmark", "wb") as file:
        pickle.dump({"goals": Mark(mark)}, file)
    run = Path(shutil.copytree(sound, tmp_path / "foreign_0"))
    config = config_with(HOSTILE[request.param]).replace(BENCHMARK, str(tmp_path / "benchmark"))
    config = config.replace(MARK, str(mark))
    (run / "config.yaml").write_text(config, encoding="utf-8")
    with unchanged_settings():
        yield run
    sys.modules.pop("left_behind", None)


@pytest.mark.long
def test_evaluate_refuses_it_in_one_line(foreign, mark):
    code, said = command("evaluate", f"run={foreign}")
    assert not mark.exists()
    assert code == 2 and said.count("\n") == 1 and "add --trust" in said, said


READERS: dict[str, Callable[[Path, Path, Path], tuple[int, str]]] = {
    "evaluate beside": lambda run, sound, to: (0, load_companion(run).name),
    "export": lambda run, sound, to: command("export", f"run={run}", f"to={to / 'theirs.npz'}"),
    "report": lambda run, sound, to: command("report", str(run), f"to={to / 'report.html'}"),
    "compare": lambda run, sound, to: command("compare", str(run), str(sound)),
    "init_from": lambda run, sound, to: begin_from(run),
}


@pytest.mark.long
@pytest.mark.parametrize("reader", list(READERS))
def test_what_needs_no_environment_of_it_works(foreign, sound, mark, tmp_path, reader):
    own = Path(shutil.copytree(sound, tmp_path / "own_0"))
    code, said = READERS[reader](foreign, own, tmp_path)
    assert not mark.exists()
    assert code == 0, said


@pytest.mark.long
def test_what_was_exported_of_it_plays(foreign, mark, tmp_path):
    assert command("export", f"run={foreign}", f"to={tmp_path / 'theirs.npz'}")[0] == 0
    code, said = command("play", f"agent={tmp_path / 'theirs.npz'}", "environment=bandit")
    assert code == 0 and not mark.exists(), said


@pytest.mark.parametrize("trust", [False, True])
def test_the_card_of_an_agent_runs_no_code(sound, mark, tmp_path, trust):
    agent = tmp_path / "theirs.npz"
    assert command("export", f"run={sound}", f"to={agent}")[0] == 0
    card = json.loads(agent.with_suffix(".json").read_text(encoding="utf-8"))
    card["trained_on"] = [{"name": "factory", "factory": "os:mkdir", "options": {"path": str(mark)}}]
    agent.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    words = ["suite=in_distribution", f"to={tmp_path / 'to'}", *(["--trust"] if trust else [])]
    code, said = command("evaluate", f"agent={agent}", *words)
    assert code == 2 and mark.exists() == trust and ("add --trust" in said) != trust, said


@pytest.mark.long
def test_a_job_of_ones_own_does_not_go_on_in_it(foreign, mark):
    code, said = command("train", *JOB, f"run_dir={foreign}")
    assert code == 2 and "another config" in said and not mark.exists(), said


@pytest.mark.long
@pytest.mark.parametrize("word", ["signature", "--trust"])
def test_the_users_word_is_enough(foreign, mark, word):
    """The code runs. None of it is an environment, so that the command still fails, and says of what."""
    if word == "signature":
        sign(foreign, (foreign / "config.yaml").read_text(encoding="utf-8"))
    code, said = command("evaluate", f"run={foreign}", *([word] if word == "--trust" else []))
    assert code == 2 and "add --trust" not in said, said
    # Of a pickle, arrays alone are read, whoever has made it.
    assert mark.exists() != ("benchmark" in said), said


@pytest.mark.parametrize("foreign", ["factory"], indirect=True)
def test_keys_repeated_on_the_command_line_are_enough(foreign, mark, tmp_path):
    code, said = command("evaluate", f"run={foreign}", "environment.factory=os:mkdir", OPTIONS.format(mark=mark))
    assert code == 2 and "returned a NoneType" in said and mark.exists(), said


def test_a_job_signs_its_run(sound):
    assert read_run(sound).is_trusted


@pytest.mark.long
def test_training_goes_on_with_a_home_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/podmeta")
    with unchanged_settings():
        code, said = command("train", *UNTESTED, "num_updates=1", f"run_dir={tmp_path / 'run'}")
    assert code == 0, said
    assert not (tmp_path / "run" / "config.signature").exists()


OF_A_LEARNER: dict[str, Callable[[Path, Path], tuple[int, str]]] = {
    "evaluate": lambda run, to: command("evaluate", f"run={run}"),
    "evaluate beside": lambda run, to: command("evaluate", f"run={to / 'own_0'}", f"beside={run}"),
    "export": lambda run, to: command("export", f"run={run}", f"to={to / 'theirs.npz'}"),
    "train run_dir": lambda run, to: command("train", f"run_dir={run}"),
}


@pytest.mark.parametrize("reader", list(OF_A_LEARNER))
def test_the_learner_of_somebody_else_is_not_made(sound, mark, tmp_path, reader):
    shutil.copytree(sound, tmp_path / "own_0")
    run = Path(shutil.copytree(sound, tmp_path / "foreign_0"))
    config = config_with(LEARNER).replace(MARK, str(mark))
    (run / "config.yaml").write_text(config, encoding="utf-8")
    with unchanged_settings():
        code, said = OF_A_LEARNER[reader](run, tmp_path)
    assert not mark.exists()
    assert code == 2 and "learner.factory='os:mkdir'" in said and "add --trust" in said, said


def test_the_learner_on_a_card_is_not_made(sound, mark, tmp_path):
    agent = tmp_path / "theirs.npz"
    assert command("export", f"run={sound}", f"to={agent}")[0] == 0
    card = json.loads(agent.with_suffix(".json").read_text(encoding="utf-8"))
    card["learner"] = {"name": "factory", "factory": "os:mkdir", "options": {"path": str(mark)}}
    agent.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    for words in (["play", "environment=bandit"], ["evaluate", "suite=action_spaces", f"to={tmp_path / 'to'}"]):
        code, said = command(words[0], f"agent={agent}", *words[1:])
        assert code == 2 and not mark.exists() and "add --trust" in said, said
    with pytest.raises(InputError, match="trust=True"):
        podmeta.load_agent(agent)
