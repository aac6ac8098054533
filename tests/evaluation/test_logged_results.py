import pytest

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.errors import InputError
from podmeta.evaluation import logged_results
from podmeta.evaluation.logged_results import log_results
from podmeta.storage.run_directory import check_entries
from podmeta.storage.run_files import EvaluationRow
from podmeta.storage.signature import sign
from tests.training.event_files import scalars_in

TAG = "eval/experiment/bandit/num_arms_2/regret"
ROWS = [
    EvaluationRow("experiment", "bandit", {"num_arms": 2}, algorithm, "regret", mean, 0.0, 9.0, 8, update=40)
    for algorithm, mean in (("learner", 1.5), ("random", 4.0))
]


@pytest.fixture
def sent(monkeypatch):
    """What goes to Weights & Biases."""
    found = []
    monkeypatch.setattr(logged_results, "add_results", lambda path, project, values, warn: found.append(values))
    return found


def job_in(path, *overrides):
    job = compose_job(["experiment=bandit", *overrides])
    (path / "config.yaml").write_text(job_to_yaml(job), encoding="utf-8")
    return job


def test_tensorboard_has_the_results_of_the_learner_at_the_update_of_its_meta_params(tmp_path, sent):
    log_results(job_in(tmp_path), tmp_path, ROWS, pytest.fail)
    assert scalars_in(tmp_path / "tensorboard" / "evaluation") == [(40, TAG, 1.5)]
    assert not sent


def test_nothing_is_written_where_the_job_asks_for_nothing(tmp_path, sent):
    log_results(job_in(tmp_path, "logging.tensorboard=false"), tmp_path, ROWS, pytest.fail)
    assert not (tmp_path / "tensorboard").exists() and not sent


@pytest.mark.parametrize("is_own", [True, False])
def test_only_results_of_runs_that_the_user_has_started_leave_the_machine(tmp_path, sent, is_own):
    job = job_in(tmp_path, "logging.wandb=true")
    if is_own:
        sign(tmp_path, job_to_yaml(job))
    warnings = []
    log_results(job, tmp_path, ROWS, warnings.append)
    assert sent == ([{TAG: 1.5}] if is_own else [])
    said = ["not a run that you have started here" in line for line in warnings]
    assert said == ([] if is_own else [True])


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "run" / "tensorboard").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "tensorboard" / "evaluation").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        check_entries(tmp_path / "run")
