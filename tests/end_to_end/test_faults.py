"""Things that go wrong under a running job: what it says, and that nothing is lost."""

import json
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.job import JOB, NUM_UPDATES, TIMEOUT_S, TINY, checkpoint_steps, digest, read_until


def largest_file(checkpoint: Path) -> Path:
    """The file that holds most of the arrays."""
    return max((path for path in (checkpoint / "arrays").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size)


@pytest.fixture
def copied_run(finished_run, tmp_path):
    """A copy of the finished run, to damage, and its checkpoints, the newest first."""
    path = tmp_path / "run"
    shutil.copytree(finished_run, path)
    (path / "summary.json").unlink()
    return path, sorted((path / "checkpoints").iterdir(), reverse=True)


@pytest.mark.long
def test_damaged_checkpoints_are_passed_over_and_named(podmeta, finished_run, copied_run):
    path, (newest, second, third) = copied_run
    file = largest_file(newest)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    file = largest_file(second)
    file.write_bytes(file.read_bytes()[:-1])

    said = podmeta.succeeds("train", *JOB, f"run_dir={path}")
    assert said.count("is broken and skipped") == 2
    assert newest.name in said and second.name in said
    assert f"going on from update {int(third.name.removeprefix('step_'))}" in said
    assert digest(path) == digest(finished_run)


@pytest.mark.long
def test_a_run_without_a_good_checkpoint_is_not_begun_anew_by_itself(podmeta, copied_run):
    path, checkpoints = copied_run
    for checkpoint in checkpoints:
        largest_file(checkpoint).write_bytes(b"")
    metrics = (path / "metrics.jsonl").read_bytes()
    said = podmeta.fails(2, "train", *JOB, f"run_dir={path}")
    assert all(checkpoint.name in said for checkpoint in checkpoints)
    assert "choose another run_dir" in said
    assert (path / "metrics.jsonl").read_bytes() == metrics
    said = podmeta.fails(2, "evaluate", f"run={path}")
    assert "no checkpoint" in said


@pytest.mark.long
def test_a_fitness_that_is_not_finite_stops_the_job_and_leaves_the_last_good_checkpoint(podmeta, tmp_path):
    """θ shrinks by a factor of -10⁶ per update until its norm overflows, in the third update."""
    explosion = ("outer.optimiser=sgd", "outer.learning_rate=1000", "outer.weight_decay=1000")
    often = ("num_updates=12", "architecture.updates_per_call=1", "checkpoint.every_updates=1")
    job = ("train", *TINY, *explosion, *often, f"run_dir={tmp_path}")
    said = podmeta.fails(1, *job)
    good = max(checkpoint_steps(tmp_path))
    assert f"generation {good} is not finite" in said
    assert f"checkpoint of update {good} is intact" in said
    assert "outer.learning_rate" in said
    assert not (tmp_path / "summary.json").exists()
    assert "not finite" in podmeta.fails(1, *job)
    assert max(checkpoint_steps(tmp_path)) == good


@pytest.mark.long
def test_a_full_disk_stops_the_job_and_more_space_lets_it_go_on(podmeta, finished_run, tmp_path):
    """On a file system of 400 kB of its own, in a mount namespace that ends with the shell; then it grows."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    possible = shutil.which("unshare") and not subprocess.run([*namespace, "true"], capture_output=True).returncode
    if not possible:
        pytest.skip("needs mount namespaces")
    train = shlex.join([*podmeta.program, "train", *JOB, "checkpoint.keep=100", f"run_dir={tmp_path}/run"])
    script = f"""
        mount -t tmpfs -o size=400k tmpfs {tmp_path}
        {train}
        echo "code $?"
        ls {tmp_path}/run/checkpoints
        mount -o remount,size=100M {tmp_path}
        {train}
        echo "code $?"
        cat {tmp_path}/run/summary.json
    """
    done = subprocess.run(
        [*namespace, "sh", "-c", script],
        env=podmeta.variables,
        cwd=podmeta.folder,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    first, second = done.stdout.split("code ")[1:]
    assert first.startswith("1\n")
    assert ".tmp-" not in first
    assert second.startswith("0\n"), done.stderr
    assert json.loads(second[2:])["meta_params_sha256"] == digest(finished_run)


@pytest.mark.long
def test_two_jobs_cannot_have_one_run_directory(podmeta, tmp_path):
    command = ("train", *JOB, f"run_dir={tmp_path}")
    first = podmeta.start(*command)
    read_until(first, "run directory:")
    first.send_signal(signal.SIGSTOP)  # so that it is there for as long as the second needs
    said = podmeta.fails(2, *command)
    assert f"run_dir {tmp_path} is in use by process {first.pid}" in said
    first.send_signal(signal.SIGCONT)
    said = first.communicate()[1]
    assert first.returncode == 0, said
    assert max(checkpoint_steps(tmp_path)) == NUM_UPDATES
