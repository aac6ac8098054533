"""What commands do with hostile runs and files of others, seen by a tracer: no import, process, write or read outside.

PODMETA_TEST_MUTATIONS=500 tries that many runs and as many files.
"""

import contextlib
import json
import pickle
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podmeta.agent import load_agent
from podmeta.errors import InputError
from podmeta.storage.checkpoint_files import CHECKSUMS
from tests.end_to_end import damages
from tests.end_to_end.test_damaged_runs import (
    NUM_MUTATIONS,
    READERS,
    command,
    copy_of,
    make_sound_run,
    measure_once,
    problem_with,
    unchanged_settings,
)
from tests.end_to_end.tracer import Tracer

FUZZED = settings(
    max_examples=NUM_MUTATIONS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
COMPILED = Path(jax.config.values["jax_compilation_cache_dir"])
"""Where these tests keep compiled programs, as the user's own settings would have it."""
CHANGING = ("evaluate", "report", "export", "compare", "init_from", "sweep")
"""Readers of runs that belong to others. `train` goes on in a run of one's own."""


class Call:
    """Calls os.system when it is unpickled."""

    def __reduce__(self) -> tuple:
        import os

        return os.system, ("true",)


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    """The one tracer of this process: audit hooks stay."""
    return Tracer()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the user's, in no folder that a command has to do with."""
    path = tmp_path_factory.mktemp("elsewhere") / "secret.json"
    path.write_text('{"secret": "hunter2"}', encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run, which every reader has read once, so that what they import is imported."""
    sound = make_sound_run(tmp_path_factory.mktemp("traced"))
    with pytest.MonkeyPatch.context() as patch, unchanged_settings():
        measure_once(patch)
        for reader in CHANGING:
            code, said = READERS[reader](copy_of(sound), sound)
            assert code == 0, said
        yield sound


@pytest.fixture(scope="module")
def agent(sound: Path) -> Path:
    """An exported algorithm, which has been loaded once."""
    path = sound.parent / "agent.npz"
    code, said = command("export", f"run={sound}", f"to={path}")
    assert code == 0, said
    load_agent(str(path))
    return path


def hostile_values(secret: Path) -> tuple[object, ...]:
    """Values that name code, secrets and files of the user's."""
    return (
        "os:mkdir",
        "subprocess:getoutput",
        "left_behind:make",
        "/bin/true",
        "${oc.env:HOME}",
        "!!python/object/apply:os.system ['true']",
        str(secret),
        f"../../{secret.parent.name}/{secret.name}",
        {"environment": "factory", "factory": "os:mkdir", "options": {"path": str(secret.with_name("made"))}},
        {"_target_": "os.system", "command": "true"},
    )


def make_hostile(run: Path, secret: Path, chance: random.Random) -> str:
    """Changes one file of a run as somebody would who means harm; returns what was done.

    Half of what is changed in a checkpoint gets checksums that fit.
    """
    path, done = chance.choice(damages.TARGETS)(run, chance), ""
    kind = chance.choice(("value", "value", "link", "pickle", "yaml"))
    with contextlib.suppress(NotADirectoryError, FileNotFoundError):  # an earlier damage has taken its folder away
        if kind == "value":
            damages.change_a_value(path, chance, hostile_values(secret))
        elif kind == "link":
            damages.delete(path, chance)
            path.symlink_to(chance.choice((secret, secret.parent)))
        elif path.is_file():
            code = pickle.dumps(Call()) if kind == "pickle" else b"!!python/object/apply:os.system ['true']\n"
            path.write_bytes(code)
        checkpoint = damages.newest_checkpoint(run)
        if checkpoint in path.parents and path.name != CHECKSUMS and chance.random() < 0.5:
            done = damages.fit_checksums(checkpoint)
    return f"{kind} {path.relative_to(run)}{done}"


@pytest.mark.long
@given(number=st.integers(0, 2**32 - 1))
@FUZZED
def test_a_hostile_run_has_nothing_done_outside(sound, secret, tracer, number):
    chance = random.Random(number)
    reader, run = chance.choice(CHANGING), copy_of(sound)
    # Damaged first: damages would follow a link to the secret.
    done = [damages.damage_run(run, chance) if chance.random() < 0.3 else "", make_hostile(run, secret, chance)]
    with unchanged_settings(), tracer.watch(sound.parent, COMPILED) as violations:
        code, said = READERS[reader](run, sound)
    assert not violations, f"{reader} after {done}: {violations}\n{said}"
    assert problem_with(code, said) is None, f"{reader} after {done}: {code} {said}"
    assert "hunter2" not in said and not secret.with_name("made").exists()


@given(number=st.integers(0, 2**32 - 1))
@FUZZED
def test_a_hostile_agent_has_nothing_done_outside(sound, agent, secret, tracer, number):
    chance = random.Random(number)
    theirs = sound.parent / "theirs.npz"
    for path in (theirs, theirs.with_suffix(".json")):
        damages.delete(path, chance)
    shutil.copyfile(agent, theirs)
    shutil.copyfile(agent.with_suffix(".json"), theirs.with_suffix(".json"))
    done = make_agent_hostile(theirs, secret, chance)
    with tracer.watch(sound.parent) as violations:
        try:
            load_agent(str(theirs))
            said = ""
        except InputError as error:
            said = str(error)
    assert not violations, f"after {done}: {violations}\n{said}"
    assert "hunter2" not in said and "\n" not in said, f"after {done}: {said}"


def make_agent_hostile(path: Path, secret: Path, chance: random.Random) -> str:
    """Changes the arrays or the card of an exported algorithm; returns what was done.

    Links are no harm here: the user names the file, and caches of downloads hold links.
    """
    target = chance.choice((path, path.with_suffix(".json"), path.with_suffix(".json")))
    kind = chance.choice(("objects", "bits", "bytes") if target == path else ("value", "value", "text"))
    if kind == "objects":
        np.savez(target, **{"symmetric/bias": np.array([Call()], dtype=object)})
    elif kind == "bits":
        damages.flip_bits(target, chance)
    elif kind == "bytes":
        target.write_bytes(pickle.dumps(Call()))
    elif kind == "value":
        damages.change_a_value(target, chance, hostile_values(secret))
    else:
        damages.write_another_document(target, chance)
    return f"{kind} {target.name}"


@pytest.mark.parametrize(
    "act", ["import", "process", "write", "read", "listing", "link"], ids=lambda act: f"the tracer sees a {act}"
)
def test_the_tracer_sees(act, tracer, secret, tmp_path):
    (tmp_path / "link").symlink_to(secret)
    with tracer.watch(tmp_path) as violations:
        if act == "import":
            with pytest.raises(ImportError):
                __import__("left_behind_by_somebody")
        elif act == "process":
            pickle.loads(pickle.dumps(Call()))
        elif act == "write":
            secret.with_name("made").mkdir()
        elif act == "listing":
            list(secret.parent.iterdir())
        else:
            json.loads((secret if act == "read" else tmp_path / "link").read_text(encoding="utf-8"))
        (tmp_path / "own").write_text("", encoding="utf-8")
    secret.with_name("made").rmdir() if act == "write" else None
    assert violations
