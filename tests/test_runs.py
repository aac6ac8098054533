import dataclasses
import inspect
import json
import os
import shutil
import signal
import threading
import time

import dm_env
import jax
import numpy as np
import pytest
from dm_env import specs

import podmeta
from podmeta import runs
from podmeta.errors import InputError
from podmeta.runs import Evaluation, Metrics, Run
from podmeta.storage.run_files import CurveRow, MetricsRow
from tests.end_to_end.job import TINY

JOB = (*TINY, "devices.cpu=4", "evaluation.settings=[{}]", "logging.progress=false", "num_updates=8")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return podmeta.train(*JOB, f"run_dir={tmp_path_factory.mktemp('runs') / 'run'}")


@pytest.mark.long
def test_metrics_are_arrays_by_name(run):
    metrics = run.metrics
    assert metrics["update"].tolist() == [4, 8]
    assert metrics["fitness_mean"].shape == (2,) and set(metrics) >= {"env_steps", "meta_params_norm"}
    assert run.summary is not None and run.summary.num_updates == 8
    assert "update 8 of 8" in repr(run)


def test_metrics_of_several_instances_and_of_rows_without_one():
    rows = [MetricsRow(1, 10, 0.1, 100.0, [1.0, 2.0], {"late": 3.0}), MetricsRow(2, 20, 0.2, 100.0, [3.0, 4.0], {})]
    metrics = Metrics(rows)
    assert metrics["fitness_mean"].shape == (2, 2)
    np.testing.assert_array_equal(metrics["late"], [3.0, np.nan])
    with pytest.raises(KeyError):
        metrics["nothing"]


def test_metrics_as_a_data_frame():
    pytest.importorskip("pandas")
    frame = Metrics([MetricsRow(1, 10, 0.1, 100.0, [1.0, 2.0], {})]).to_pandas()
    assert frame["fitness_mean/instance_1"].tolist() == [2.0] and frame["update"].tolist() == [1]


def test_a_loaded_run_is_the_same(run):
    assert podmeta.load_run(run.path).job == run.job
    with pytest.raises(InputError, match="config"):
        podmeta.load_run(run.path / "checkpoints")


def test_its_agent_acts_before_and_after_an_export(run):
    of_run = run.agent().reset(specs.Array((3,), np.float32), specs.DiscreteArray(4), seed=0)
    of_path = podmeta.load_agent(run.path).reset(specs.Array((3,), np.float32), specs.DiscreteArray(4), seed=0)
    first = dm_env.restart(np.zeros(3, np.float32))
    assert of_run.step(first) == of_path.step(first)
    assert run.agent().card.num_updates == 8 and run.agent().card.env_steps > 0
    with pytest.raises(InputError, match="instance=1"):
        run.agent(1)


@pytest.mark.long
def test_an_evaluation_is_rows_and_a_figure(run):
    found = run.evaluate(None, "evaluation.num_tasks=8")
    assert isinstance(found, Evaluation) and {row.algorithm for row in found.rows} >= {"learner", "random"}
    assert all(row.num_tasks == 8 for row in found.rows)
    assert len(found.plot().axes) == 1
    with pytest.raises(InputError, match="no_such_suite"):
        run.evaluate("no_such_suite")


def test_names_in_a_figure_are_text():
    curve = CurveRow("s", "e", {"id": "$x^$"}, "$y^$", "regret", [1, 2], [0.0, 1.0], [0.0, 0.5], [0.0, 1.5], 8)
    figure = Evaluation("s", [], [curve]).plot()
    figure.canvas.draw()  # where matplotlib would parse formulas
    axes = figure.axes[0]
    assert axes.get_title() == "e: id=$x^$" and axes.get_legend().get_texts()[0].get_text() == "$y^$"


@pytest.mark.long
def test_a_job_can_be_composed_changed_and_trained(tmp_path, run):
    job = podmeta.compose(*JOB, f"run_dir={tmp_path / 'changed'}")
    changed = podmeta.train(dataclasses.replace(job, num_updates=4))
    assert changed.summary.num_updates == 4
    with pytest.raises(InputError, match="seed"):
        podmeta.train(dataclasses.replace(job, seed=-1))
    with pytest.raises(InputError, match="or one job"):
        podmeta.train(job, "num_updates=4")


@pytest.mark.long
def test_interrupted_and_continued_it_ends_at_the_same_θ(tmp_path, run):
    job = (*JOB, "num_updates=100000", f"run_dir={tmp_path / 'stopped'}")

    def interrupt() -> None:
        metrics = tmp_path / "stopped" / "metrics.jsonl"
        while not (metrics.exists() and metrics.stat().st_size):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt, daemon=True)
    interrupter.start()
    stopped = podmeta.train(*job)
    interrupter.join()
    assert stopped.summary is None
    done = int(stopped.metrics["update"][-1])
    assert 0 < done < 100_000 and stopped.agent().card.num_updates == done
    again = podmeta.train(*job, f"num_updates={done + 4}")
    whole = podmeta.train(*JOB, f"num_updates={done + 4}", f"run_dir={tmp_path / 'whole'}")
    assert again.summary.meta_params_sha256 == whole.summary.meta_params_sha256


def test_it_trains_in_a_thread_and_leaves_settings_alone(tmp_path):
    before = {name: jax.config.values[name] for name in ("jax_enable_x64", "jax_cpu_enable_async_dispatch")}
    finished = []
    job = (*JOB, "num_updates=4", f"run_dir={tmp_path / 'thread'}")
    thread = threading.Thread(target=lambda: finished.append(podmeta.train(*job)))
    thread.start()
    thread.join()
    assert finished[0].summary.num_updates == 4
    assert {name: jax.config.values[name] for name in before} == before


def test_a_foreign_run_runs_no_code(run, tmp_path):
    foreign = shutil.copytree(run.path, tmp_path / "foreign")
    config = (foreign / "config.yaml").read_text(encoding="utf-8")
    settings = json.dumps([{"environment": "factory", "factory": "os:mkdir", "options": {"path": str(tmp_path / "x")}}])
    (foreign / "config.yaml").write_text(config.replace("settings:\n  - {}", f"settings: {settings}"), encoding="utf-8")
    with pytest.raises(InputError, match="names code to run"):
        podmeta.load_run(foreign).evaluate()
    assert not (tmp_path / "x").exists()


@pytest.mark.long
def test_a_process_whose_jax_has_started_keeps_its_devices(tmp_path, run, monkeypatch):
    """A preset may ask for another number of CPU devices. Every number ends at the same fitness."""
    shown = []
    monkeypatch.setattr(runs, "_show", shown.append)
    other = podmeta.train(*JOB, "devices.cpu=2", f"run_dir={tmp_path / 'other'}")
    assert "devices.cpu=2: JAX had already started with 4 devices, which are used" in shown
    np.testing.assert_allclose(other.metrics["fitness_mean"], run.metrics["fitness_mean"])


@pytest.mark.parametrize("given", [["a=1"], {"seed": 1}, None])
def test_what_is_no_override_is_refused_in_one_line(given):
    # Without the check of types that only tests have.
    for function, arguments in ((podmeta.compose, (given,)), (runs._composed, ((given,),))):
        with pytest.raises(InputError, match="experiment=bandit") as refused:
            inspect.unwrap(function)(*arguments)
        assert "\n" not in str(refused.value)
