"""Every command that reads a run directory ends with 0, 1 or 2 and a message, whatever has become of its files.

PODMETA_TEST_MUTATIONS=2000 tries that many mutations, and PODMETA_TEST_MUTATIONS_LOG=FILE lists what came of them.
What follows from a config alone is computed once: here reading and writing matter.
"""

import contextlib
import dataclasses
import functools
import io
import os
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podmeta.cli.commands import run as run_command
from podmeta.config.compose import compose_job
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError, PodmetaError
from podmeta.evaluation import run as evaluation
from podmeta.evaluation.report import page
from podmeta.runs import load_run
from podmeta.storage.files import write_atomically
from podmeta.sweep import SweepRun, sweep_table
from podmeta.training import meta_params, run_logger
from tests.end_to_end.damages import damage_run
from tests.end_to_end.job import TINY

NUM_MUTATIONS = int(os.environ.get("PODMETA_TEST_MUTATIONS", "20"))
JOB = (
    *TINY,
    "devices.cpu=4",  # as many as the tests' own process has
    "num_updates=8",
    "checkpoint.every_updates=4",
    "checkpoint.keep=2",
    "evaluation.settings=[{}]",
    "logging.progress=false",
)
_MOST_LINES = 18


@pytest.mark.long
@given(number=st.integers(0, 2**32 - 1))
@settings(
    max_examples=NUM_MUTATIONS,
    derandomize="PODMETA_TEST_MUTATIONS" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_damaged_run_is_read_or_refused_in_words(sound, measured_once, number):
    problem = read_a_damaged_run(sound, number)
    assert problem is None, problem


@pytest.mark.long
def test_a_damaged_run_is_read_or_refused_by_processes_too(podmeta, sound, tmp_path):
    chance = random.Random(0)
    for number, words in enumerate((("evaluate", "run={run}"), ("compare", "{run}", "{sound}"), ("report", "{run}"))):
        run = tmp_path / f"copy_{number}"
        shutil.copytree(sound, run)
        done = [damage_run(run, chance) for _ in range(2)]
        finished = podmeta.run(*(word.format(run=run, sound=sound) for word in words))
        problem = problem_with(finished.returncode, finished.stderr)
        assert problem is None, f"{words[0]} after {done}: {problem}"


@pytest.mark.long
@pytest.mark.parametrize("reader", ["evaluate", "train"])
def test_links_in_a_run_are_not_followed(sound, measured_once, reader):
    """These are names under which earlier versions wrote without looking."""
    run, mine = copy_of(sound), sound.parent / "mine"
    for name in (".tmp-evaluation.jsonl", "learning_curves.png", "lock", "checkpoints/.tmp-step_00000008", "wandb_id"):
        mine.write_text("mine", encoding="utf-8")
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(mine)
        with unchanged_settings():
            code, said = READERS[reader](run, sound)
        assert problem_with(code, said) is None
        assert mine.read_text(encoding="utf-8") == "mine" and code in (0, 2)


@pytest.mark.long
@pytest.mark.parametrize("reader", ["evaluate", "report", "export", "compare"])
def test_no_secret_of_the_reader_comes_out_of_a_run(sound, measured_once, reader, monkeypatch):
    monkeypatch.setenv("PODMETA_SECRET", "hunter2")
    run = copy_of(sound)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    changed = config.replace("experiment_name: bandit", "experiment_name: ${oc.env:PODMETA_SECRET}")
    assert changed != config
    (run / "config.yaml").write_text(changed, encoding="utf-8")
    with unchanged_settings():
        code, said = READERS[reader](run, sound)
    assert code == 0, said
    written = [path for path in sound.parent.rglob("*") if path.is_file()]
    assert "hunter2" not in said and not any(b"hunter2" in path.read_bytes() for path in written)


def copy_of(sound: Path) -> Path:
    """A fresh copy of a run, to be damaged."""
    run = sound.parent / "copy_0"
    shutil.rmtree(run, ignore_errors=True)
    return Path(shutil.copytree(sound, run))


def read_a_damaged_run(sound: Path, number: int) -> str | None:
    """Damages a copy of a run and has a command read it, both drawn by a number; returns what is wrong with that."""
    chance = random.Random(number)
    reader, run = chance.choice(list(READERS)), copy_of(sound)
    done = [damage_run(run, chance) for _ in range(chance.choice((1, 1, 2)))]
    with unchanged_settings():
        code, said = READERS[reader](run, sound)
    problem = problem_with(code, said)
    if "PODMETA_TEST_MUTATIONS_LOG" in os.environ:
        with Path(os.environ["PODMETA_TEST_MUTATIONS_LOG"]).open("a", encoding="utf-8") as log:
            log.write(
                f"{reader} {code} {'' if problem is None else 'PROBLEM '}{number} {done} {said.splitlines()[-1:]}\n"
            )
    return None if problem is None else f"{reader} after {done} (number {number}): {problem}"


def problem_with(code: int, said: str) -> str | None:
    """What is wrong with an exit code and what was said on standard error."""
    told = [line for line in said.splitlines() if line.startswith(("error: ", "failed: "))]
    is_good = code in (0, 1, 2) and len(told) == (code != 0) and said.count("\n") <= _MOST_LINES
    return None if is_good and "Traceback" not in said else f"exit code {code}\n{said}"


def command(*arguments: str) -> tuple[int, str]:
    """Runs a command in this process: its exit code, and what it said on standard error."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            code = run_command(list(arguments), Interruption(""), began=0.0)
        errors.seek(0)
        return code, errors.read()


def sweep(run: Path) -> tuple[int, str]:
    """What a sweep reads of its runs."""
    of_sweep = SweepRun([], [], run, _job())
    return _code_of(lambda: (of_sweep.is_done(), sweep_table([of_sweep], lambda line: None)))


def begin_from(run: Path) -> tuple[int, str]:
    """What a job reads that begins with the θ of the run."""
    expected = run_logger.state_shapes(_job()).outer.meta_params
    return _code_of(lambda: meta_params.load_meta_params(run, expected, lambda line: None))


def load(run: Path) -> tuple[int, str]:
    """What a program reads of the run."""

    def read() -> None:
        with warnings.catch_warnings():  # of lines that are left out
            warnings.simplefilter("ignore")
            loaded = load_run(run)
            _ = repr(loaded), loaded.summary, dict(loaded.metrics)

    return _code_of(read)


def _code_of(read: Callable[[], object]) -> tuple[int, str]:
    try:
        read()
    except InputError as error:
        return 2, f"error: {error}"
    except PodmetaError as error:
        return 1, f"failed: {error}"
    return 0, ""


READERS = {
    "evaluate": lambda run, sound: command("evaluate", f"run={run}", "evaluation.num_tasks=8"),
    "report": lambda run, sound: command("report", str(run), f"to={run.parent / 'report.html'}"),
    "export": lambda run, sound: command("export", f"run={run}", f"to={run.parent / 'exported.npz'}"),
    "compare": lambda run, sound: command("compare", str(run), str(sound)),
    "train": lambda run, sound: command("train", *JOB, f"run_dir={run}"),
    "go on no further": lambda run, sound: command("train", *JOB, "num_updates=4", f"run_dir={run}"),
    "init_from": lambda run, sound: begin_from(run),
    "sweep": lambda run, sound: sweep(run),
    "status": lambda run, sound: command("status", str(run)),
    "status in JSON": lambda run, sound: command("status", str(run), "--json"),
    "in Python": lambda run, sound: load(run),
}
"""What reads a run directory, by name."""


@functools.cache
def _job():
    return compose_job(list(JOB))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A finished run that was meta-tested, in the folder where copies of it are damaged."""
    return make_sound_run(tmp_path_factory.mktemp("damaged"))


def make_sound_run(folder: Path) -> Path:
    """Trains and meta-tests the job."""
    with unchanged_settings():
        code, said = command("train", *JOB, f"run_dir={folder / 'sound_0'}")
    assert code == 0, said
    return folder / "sound_0"


@pytest.fixture
def measured_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        measure_once(patch)
        yield


def measure_once(patch: pytest.MonkeyPatch) -> None:
    """Has what follows from a config alone be computed once: shapes, meta-tests and lifetimes. Draws no pictures."""

    def once(place, name, key):
        compute, kept = getattr(place, name), {}

        def remembered(*arguments):
            told = repr(key(*arguments))
            if told not in kept:
                kept[told] = compute(*arguments)
            return kept[told]

        patch.setattr(place, name, remembered)

    def about(job):
        return dataclasses.replace(job, run_dir="", init_from="")

    once(evaluation, "meta_test", lambda meta_params, *arguments: arguments)
    once(evaluation, "check_settings", lambda job, meta_params: about(job))
    once(page, "see_lifetime", lambda record, warn: (about(record.job), record.update))
    once(run_logger, "state_shapes", lambda job, update=None: (about(job), update))
    patch.setattr(evaluation, "draw_learning_curves", lambda path, *arguments: write_atomically(path, b""))
    patch.setattr(jax, "clear_caches", lambda: None)


@contextlib.contextmanager
def unchanged_settings() -> Iterator[None]:
    """Puts JAX's settings back after commands."""
    changed = ("jax_cpu_enable_async_dispatch", "jax_persistent_cache_min_compile_time_secs")
    changed += ("jax_persistent_cache_min_entry_size_bytes",)
    before = {name: jax.config.values[name] for name in changed}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
