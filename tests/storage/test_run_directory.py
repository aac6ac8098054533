"""The run directory against real other processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.run_config import read_run_config
from podmeta.errors import InputError
from podmeta.storage.provenance import describe_provenance, read_provenance
from podmeta.storage.run_directory import ABSENT, RunDirectory, differing_keys, make_run_path

REPOSITORY = Path(__file__).parents[2]
CONFIG = """\
experiment_name: bandit
seed: 0
num_updates: 100
outer:
  learning_rate: 0.03
  betas: [0.9, 0.999]
logging:
  wandb: false
"""


@contextmanager
def process_running(script: str, *arguments: str):
    """A Python process that has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        process.first_line = process.stdout.readline().strip()
        assert process.first_line
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- one holder --------------------------------------------------------------------------------------------------

HOLD = """
    import sys, time
    from pathlib import Path
    from podmeta.storage.run_directory import RunDirectory
    run = RunDirectory(Path(sys.argv[1]), sys.argv[2])
    print("held", flush=True)
    time.sleep(1000)
"""


def test_another_process_is_refused_until_the_holder_is_killed(tmp_path):
    with process_running(HOLD, str(tmp_path), CONFIG) as holder:
        with pytest.raises(InputError, match=f"in use by process {holder.pid} on "):
            RunDirectory(tmp_path, CONFIG)
        holder.kill()
        holder.wait()
        RunDirectory(tmp_path, CONFIG).release()


def test_a_holder_whose_launcher_is_gone_is_named_with_its_process_id(tmp_path):
    launcher = f"""
        import subprocess, sys
        command = [sys.executable, "-c", {textwrap.dedent(HOLD)!r}, *sys.argv[1:]]
        hold = subprocess.Popen(command, stdout=subprocess.PIPE)
        hold.stdout.readline()
        print(hold.pid, flush=True)
        sys.stdin.readline()
    """
    with process_running(launcher, str(tmp_path), CONFIG) as process:
        holder = int(process.first_line)
        try:
            with pytest.raises(InputError, match=f"process {holder} on .*, started by process {process.pid}. Wait"):
                RunDirectory(tmp_path, CONFIG)
            process.kill()
            process.wait()
            with pytest.raises(InputError, match=f"by process {process.pid}, which is gone. .* kill {holder},"):
                RunDirectory(tmp_path, CONFIG)
        finally:
            os.kill(holder, signal.SIGKILL)


def test_the_same_process_is_refused_too(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        with pytest.raises(InputError, match=f"in use by process {os.getpid()} on "):
            RunDirectory(tmp_path, CONFIG)
        run.release()
        RunDirectory(tmp_path, CONFIG).release()


def test_a_forked_child_that_outlives_a_killed_job_does_not_hold_the_directory(tmp_path):
    fork = """
        import os, sys, time
        from pathlib import Path
        from podmeta.storage.run_directory import RunDirectory
        run = RunDirectory(Path(sys.argv[1]), sys.argv[2])
        child = os.fork()
        if not child:
            print(os.getpid(), flush=True)
        time.sleep(1000)
    """
    with process_running(fork, str(tmp_path), CONFIG) as job:
        child = int(job.first_line)
        try:
            with pytest.raises(InputError, match="in use"):
                RunDirectory(tmp_path, CONFIG)
            job.kill()
            job.wait()
            RunDirectory(tmp_path, CONFIG).release()
            os.kill(child, 0)  # it does live on
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("path", ["{file}", "{file}/below", "/proc/podmeta"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, path):
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"run_dir .* cannot be written"):
        RunDirectory(Path(path.format(file=file)), CONFIG)


def test_jobs_that_name_no_folder_and_start_in_one_second_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "2026-01-01_00-00-00")
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(make_run_path, ["bandit"] * 32))
    assert len(set(paths)) == 32 and all(path.is_dir() for path in paths)


FOLDERS = ("checkpoints", "tensorboard")
NAMES = (
    "lock",
    "config.yaml",
    "metrics.jsonl",
    "evaluation.jsonl",
    "learning_curves.png",
    "checkpoints",
    "tensorboard",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_a_run_directory_is_refused_and_what_it_leads_to_stays(tmp_path, name, dangling):
    run, mine = tmp_path / "run", tmp_path / "mine"
    run.mkdir()
    (run / name).symlink_to(mine)
    if not dangling:
        mine.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name}.* is a link|It is a link"):
        RunDirectory(run, CONFIG)
    assert not mine.exists() if dangling else mine.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", [*NAMES, "summary.json", "environment.json"])
def test_a_folder_for_a_file_or_a_file_for_a_folder_is_refused(tmp_path, name):
    if name in FOLDERS:
        (tmp_path / name).write_text("", encoding="utf-8")
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=r"a run has a|Is a directory"):
        RunDirectory(tmp_path, CONFIG)


def test_a_run_directory_that_is_itself_a_link_works(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    leave_run(tmp_path / "run")
    assert (tmp_path / "disk" / "config.yaml").exists()


# --- one config --------------------------------------------------------------------------------------------------


def leave_run(path: Path, config: str = CONFIG) -> None:
    with RunDirectory(path, config) as run:
        run.write_start(describe_provenance([]))


def test_the_config_is_written_and_the_same_one_goes_on(tmp_path):
    leave_run(tmp_path / "a" / "run")
    leave_run(tmp_path / "a" / "run")
    assert (tmp_path / "a" / "run" / "config.yaml").read_text(encoding="utf-8") == CONFIG


def test_changed_keys_are_listed_with_both_values(tmp_path):
    leave_run(tmp_path)
    changed = CONFIG.replace("0.03", "0.1").replace("seed: 0", "extra: {key: x}")
    with pytest.raises(InputError) as caught:
        RunDirectory(tmp_path, changed)
    told = str(caught.value)
    assert "outer.learning_rate: 0.03 there, 0.1 now" in told
    assert f"extra.key: {ABSENT!r} there, 'x' now" in told
    assert f"seed: 0 there, {ABSENT!r} now" in told
    assert "num_updates" not in told
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == CONFIG
    leave_run(tmp_path)  # the refused one does not hold the lock


def test_of_many_changed_keys_and_of_long_values_only_the_beginning_is_shown(tmp_path):
    leave_run(tmp_path)
    with pytest.raises(InputError, match="and 7 more") as caught:
        RunDirectory(tmp_path, CONFIG + "".join(f"key_{n}: {'x' * 10_000}\n" for n in range(15)))
    assert len(str(caught.value)) < 3000


def test_keys_that_may_change_do_and_are_recorded(tmp_path):
    leave_run(tmp_path)
    changed = CONFIG.replace("num_updates: 100", "num_updates: 200").replace("wandb: false", "wandb: true")
    leave_run(tmp_path, changed)
    assert read_run_config(tmp_path / "config.yaml")["num_updates"] == 200
    with pytest.raises(InputError, match="num_updates: 200 there, 300 now"):
        RunDirectory(tmp_path, changed.replace("200", "300"), changeable_keys=())


def test_a_start_that_trains_nothing_leaves_the_config_as_it_was(tmp_path):
    leave_run(tmp_path)
    RunDirectory(tmp_path, CONFIG.replace("num_updates: 100", "num_updates: 50")).release()
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == CONFIG


@pytest.mark.long
def test_a_run_from_before_a_key_existed_has_its_default(tmp_path):
    config = job_to_yaml(compose_job(["experiment=bandit", "outer.learning_rate_schedule.name=constant"]))
    leave_run(tmp_path, config.replace("  weight_decay: 0.0\n", ""))
    leave_run(tmp_path, config)
    with pytest.raises(InputError, match=r"outer\.weight_decay: 0\.0 there, 0\.5 now"):
        RunDirectory(tmp_path, config.replace("weight_decay: 0.0", "weight_decay: 0.5"))


def test_another_experiment_is_named_as_such(tmp_path):
    leave_run(tmp_path)
    with pytest.raises(InputError, match=r"another experiment.*'bandit' there and 'cartpole' now") as caught:
        RunDirectory(tmp_path, CONFIG.replace("bandit", "cartpole").replace("0.03", "0.1"))
    assert "learning_rate" not in str(caught.value)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"- 1\n", b"a: *b"])
def test_a_config_that_is_not_one_is_refused(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.yaml"):
        RunDirectory(tmp_path, CONFIG)


def test_results_without_a_config_are_refused_and_other_files_are_not(tmp_path):
    (tmp_path / "slurm.out").write_text("", encoding="utf-8")
    leave_run(tmp_path)
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "metrics.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"without its config\.yaml"):
        RunDirectory(tmp_path, CONFIG)


def test_a_start_that_trains_writes_its_environment(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_start(describe_provenance(["cpu:0"]))
        assert read_provenance(tmp_path) == describe_provenance(["cpu:0"])


# --- differing keys ----------------------------------------------------------------------------------------------

keys = st.sampled_from("abc")
leaves = st.none() | st.booleans() | st.integers(2, 5) | st.text("xyz", max_size=2) | st.lists(st.integers(0, 2))
configs = st.dictionaries(keys, leaves | st.dictionaries(keys, leaves, min_size=1), max_size=3)


def set_keys(config: dict, changes) -> dict:
    """Applies `differing_keys`'s answer to a config; the inverse that proves it complete."""
    flat = {
        key if inner is None else f"{key}.{inner}": value
        for key, entry in config.items()
        for inner, value in (entry.items() if isinstance(entry, dict) else [(None, entry)])
    }
    for key, _, after in changes:
        if after == ABSENT:
            del flat[key]
        else:
            flat[key] = after
    return flat


@given(configs, configs)
def test_the_differences_lead_from_one_config_to_the_other(old, new):
    changes = differing_keys(old, new)
    assert set_keys(old, changes) == set_keys(new, [])
    assert all(before != after for _, before, after in changes)
    assert differing_keys(new, old) == [(key, after, before) for key, before, after in changes]
    assert differing_keys(old, old) == []
