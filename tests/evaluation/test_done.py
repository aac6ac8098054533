"""Whether a run is done, by what its files hold."""

import json

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.suites import experiment_suite, row_setting
from podmeta.evaluation.done import is_done, is_tested
from podmeta.storage.json_files import encode
from podmeta.storage.run_files import Summary

OVERRIDES = ["experiment=bandit", "num_updates=4", "evaluation.num_tasks=8", "evaluation.settings=[{}, {num_arms: 3}]"]


def rows_of(job, digests):
    """The rows of the learner that a whole meta-test leaves."""
    return [
        {"suite": "experiment", "environment": setting.environment.name, "algorithm": "learner", "metric": "regret"}
        | {"setting": row_setting(setting, instance if len(digests) > 1 else None)}
        | {"mean": 1.0, "low": 0.0, "high": 2.0, "num_tasks": job.evaluation.num_tasks}
        | {"update": 4, "meta_params_sha256": digest, "evaluation_seed": job.evaluation.seed}
        for setting in experiment_suite(job).settings
        for instance, digest in enumerate(digests)
    ]


@pytest.fixture(params=[["a"], ["a", "b"]], ids=["one instance", "two instances"])
def run(request, tmp_path):
    """(job, path, rows): a run that is done."""
    job = compose_job(OVERRIDES)
    digests = request.param[0] if len(request.param) == 1 else request.param
    summary = Summary("bandit", 0, 4, 1, 1.0, 1.0, None, 1, digests, {})
    (tmp_path / "summary.json").write_text(json.dumps(encode(summary)), encoding="utf-8")
    rows = rows_of(job, request.param)
    write(tmp_path, rows)
    return job, tmp_path, rows


def write(path, rows):
    (path / "evaluation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_whole_run_is_done_also_for_a_job_of_fewer_updates(run):
    job, path, _ = run
    assert is_done(job, path) and is_tested(job, path)
    assert is_done(compose_job([*OVERRIDES, "num_updates=3"]), path)


def test_a_run_is_not_done_before_the_last_update(run):
    _, path, _ = run
    assert not is_done(compose_job([*OVERRIDES, "num_updates=5"]), path)


def test_a_run_without_a_summary_is_not_done(run):
    job, path, _ = run
    (path / "summary.json").unlink()
    assert not is_done(job, path)


def test_a_meta_test_that_lacks_any_row_is_not_done(run):
    job, path, rows = run
    for left_out in range(len(rows)):
        write(path, rows[:left_out] + rows[left_out + 1 :])
        if len(rows) > 1:
            assert not is_done(job, path)
    (path / "evaluation.jsonl").unlink()
    assert not is_done(job, path)
    assert is_done(compose_job([*OVERRIDES, "evaluation.enabled=false"]), path)


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"meta_params_sha256": "older"},
        {"num_tasks": 7},
        {"evaluation_seed": 1},
        {"suite": "tasks"},
        {"algorithm": "random"},
        {"setting": {}},
    ],
)
def test_a_row_about_something_else_does_not_count(change, run):
    job, path, rows = run
    write(path, [*rows[:-1], rows[-1] | change])
    assert not is_tested(job, path)


def test_with_controls_every_setting_needs_a_verdict(run):
    _, path, rows = run
    job = compose_job([*OVERRIDES, "evaluation.controls=true"])
    assert not is_tested(job, path)
    verdicts = [row | {"metric": "learns_from_reward"} for row in rows]
    write(path, [*rows, *verdicts])
    assert is_tested(job, path)
    write(path, [*rows, *verdicts[1:]])
    assert not is_tested(job, path)


def test_rows_that_do_not_record_their_meta_params_do_not_count(run):
    job, path, rows = run
    write(path, [{key: value for key, value in row.items() if key != "meta_params_sha256"} for row in rows])
    assert not is_tested(job, path)
