import jax
import numpy as np
import pytest

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.suites import experiment_suite
from podmeta.errors import InputError
from podmeta.evaluation import logged_results
from podmeta.evaluation.logged_results import log_results
from podmeta.storage.run_directory import check_entries
from podmeta.storage.run_files import EvaluationRow
from podmeta.storage.signature import sign
from podmeta.training.build import meta_params_shapes
from tests.training.event_files import scalars_in, videos_in

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


def log(job, path, warn, meta_params=None):
    log_results(job, experiment_suite(job), meta_params, path, ROWS, warn)


def test_tensorboard_has_the_results_of_the_learner_at_the_update_of_its_meta_params(tmp_path, sent):
    log(job_in(tmp_path), tmp_path, pytest.fail)
    assert scalars_in(tmp_path / "tensorboard" / "evaluation") == [(40, TAG, 1.5)]
    assert not sent


def test_nothing_is_written_where_the_job_asks_for_nothing(tmp_path, sent):
    log(job_in(tmp_path, "logging.tensorboard=false"), tmp_path, pytest.fail)
    assert not (tmp_path / "tensorboard").exists() and not sent


@pytest.mark.parametrize("is_own", [True, False])
def test_only_results_of_runs_that_the_user_has_started_leave_the_machine(tmp_path, sent, is_own):
    job = job_in(tmp_path, "logging.wandb=true")
    if is_own:
        sign(tmp_path, job_to_yaml(job))
    warnings = []
    log(job, tmp_path, warnings.append)
    assert sent == ([{TAG: 1.5}] if is_own else [])
    said = ["not a run that you have started here" in line for line in warnings]
    assert said == ([] if is_own else [True])


def test_videos_stand_beside_the_results_if_the_job_asks_for_them(tmp_path, sent):
    words = ["logging.tensorboard_videos=true", "learner.hidden_size=2", "learner.message_size=2"]
    job = job_in(tmp_path, *words, "environment=grid_world", "environment.lifetime_length=3")
    meta_params = jax.tree.map(lambda leaf: np.zeros((1, *leaf.shape), leaf.dtype), meta_params_shapes(job))
    log(job, tmp_path, pytest.fail, meta_params)
    ((update, tag, _),) = videos_in(tmp_path / "tensorboard" / "evaluation")
    assert (update, tag) == (40, "eval/experiment/grid_world/lifetime_length_3/video")
    assert scalars_in(tmp_path / "tensorboard" / "evaluation") == [(40, TAG, 1.5)]


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "run" / "tensorboard").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "tensorboard" / "evaluation").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        check_entries(tmp_path / "run")
