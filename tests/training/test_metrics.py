import json
import math
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import SessionLog

from podmeta.errors import InputError
from podmeta.storage.run_directory import RunDirectory
from podmeta.training.metrics import MetricsWriter
from tests.training.event_files import events, hyper_parameters_in, scalars_in

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    with RunDirectory(tmp_path / "run", "experiment_name: test\n") as run_directory:
        yield run_directory


def strict_rows(path: Path) -> list[dict]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: shutil.copy(path, "copy") and Path("copy").replace(path)])
def test_files_that_are_deleted_or_replaced_meanwhile_are_made_again_and_the_user_hears_of_it(
    run, lose, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    said = []
    with MetricsWriter(run, tensorboard=True, warn=said.append) as metrics:
        metrics.write({"update": 1, "value": 0.5})
        lose(run.metrics_path)
        shutil.rmtree(run.tensorboard_path)
        metrics.write({"update": 2, "value": 0.5})
        metrics.write({"update": 3, "value": 0.5})
    assert [row["update"] for row in strict_rows(run.metrics_path)] == [1, 2, 3]
    assert [step for step, _, _ in scalars_in(run.tensorboard_path)] == [2, 3]
    told = "made again, with its earlier rows" if lose is Path.unlink else "rows from update 2 on"
    assert len(said) == 2 and told in said[0] and "begins with update 2" in said[1]


def test_events_that_alone_are_deleted_begin_anew_and_the_user_hears_of_it(run):
    said = []
    with MetricsWriter(run, tensorboard=True, warn=said.append) as metrics:
        for update in (1, 2, 3):
            metrics.write({"update": update, "value": 0.5})
            if update == 1:
                next(run.tensorboard_path.iterdir()).unlink()
    assert [step for step, _, _ in scalars_in(run.tensorboard_path)] == [2, 3]
    assert len(said) == 1 and "begins with update 2" in said[0]


def test_every_kind_of_number_becomes_json_at_once(run):
    with MetricsWriter(run) as metrics:
        metrics.write(
            {
                "update": np.int64(1),
                "numpy": np.float32(0.1),
                "jax": jnp.float32(0.25),
                "half": jnp.asarray(1.5, jnp.bfloat16),
                "flag": np.bool_(True),
                "vector": jnp.asarray([1.0, jnp.nan]),
                "infinite": math.inf,
                "text": "a\u2028b\n",
            }
        )
        # Read while the writer is open: it must be in the file already.
        assert strict_rows(run.metrics_path) == [
            {
                "update": 1,
                "numpy": float(np.float32(0.1)),
                "jax": 0.25,
                "half": 1.5,
                "flag": True,
                "vector": [1.0, None],
                "infinite": None,
                "text": "a\u2028b\n",
            }
        ]
    metrics.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(killed_at=st.integers(0, 30), data=st.data())
def test_a_resumed_job_leaves_the_lines_of_an_uninterrupted_one(run, killed_at, data):
    """Killed anywhere, even within a line, and resumed from any checkpoint before: the file is the same."""
    restored = data.draw(st.integers(0, killed_at))
    run.metrics_path.unlink(missing_ok=True)

    def write(metrics: MetricsWriter, updates) -> None:
        for update in updates:
            metrics.write({"update": update, "fitness_mean": 1 / (1 + update)})

    with MetricsWriter(run) as metrics:
        write(metrics, range(1, 31))
    uninterrupted = run.metrics_path.read_bytes()
    lines = uninterrupted.splitlines(keepends=True)
    half_line = lines[killed_at][: data.draw(st.integers(0, len(lines[killed_at]) - 1))] if killed_at < 30 else b""
    run.metrics_path.write_bytes(b"".join(lines[:killed_at]) + half_line)
    with MetricsWriter(run, resumed_update=restored, warn=lambda line: None) as metrics:
        write(metrics, range(restored + 1, 31))
    assert run.metrics_path.read_bytes() == uninterrupted


def test_tensorboard_gets_the_same_numbers_and_is_told_where_a_resumed_job_goes_on(run):
    with MetricsWriter(run, tensorboard=True) as metrics:
        metrics.write({"update": 5, "fitness_mean": 0.5, "vector": [1, 2], "text": "left out"})
        metrics.write({"update": 10, "fitness_mean": math.nan})
    with MetricsWriter(run, tensorboard=True, resumed_update=5) as metrics:
        metrics.write({"update": 10, "fitness_mean": 0.75, "seconds": 2.0})
    scalars = scalars_in(run.tensorboard_path)
    assert scalars[:3] == [(5, "train/fitness_mean", 0.5), (5, "train/vector/0", 1.0), (5, "train/vector/1", 2.0)]
    assert math.isnan(scalars[3][2])
    assert scalars[4:] == [(10, "train/fitness_mean", 0.75), (10, "time/seconds", 2.0)]
    starts = [e.step for e in events(run.tensorboard_path) if e.session_log.status == SessionLog.START]
    assert starts == [6]  # TensorBoard drops what earlier files say from update 6 on
    metrics.close()


def test_tensorboard_has_the_hyper_parameters_of_every_start(run):
    for update in (0, 5):
        MetricsWriter(run, tensorboard=True, resumed_update=update).close()
    assert hyper_parameters_in(run.tensorboard_path) == [{"experiment_name": "test"}] * 2


def test_weights_and_biases_missing_is_told_with_the_command(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"pip install 'podmeta\[wandb\]'"):
        MetricsWriter(run, wandb_project="podmeta")


def test_a_full_disk_is_told_and_nothing_hangs(tmp_path):
    """On a file system of 256 kB of its own, in a mount namespace that ends with the process."""
    in_namespace = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*in_namespace, "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from podmeta.errors import PodmetaError
        from podmeta.training.metrics import MetricsWriter
        from podmeta.storage.run_directory import RunDirectory

        with RunDirectory(Path(sys.argv[1]) / "run", "experiment_name: test") as run:
            try:
                with MetricsWriter(run, tensorboard=True) as metrics:
                    for update in range(100_000):
                        metrics.write({"update": update, "fitness_mean": 0.5, "text": "x" * 1000})
            except PodmetaError as error:
                assert "the disk is full" in str(error)
                print("told")
        """
    )
    command = 'mount -t tmpfs -o size=256k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        [*in_namespace, "sh", "-c", command, "sh", str(tmp_path), sys.executable, script],
        cwd=REPOSITORY,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert (result.returncode, result.stdout) == (0, "told\n"), result.stderr
