"""Videos of θ: in the event files, after the meta-tests that ask for them."""

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.suites import experiment_suite
from podmeta.evaluation.film import make_film, make_periodic_film
from podmeta.evaluation.periodic import make_periodic_test
from podmeta.training.loop import train
from tests.training.event_files import videos_in
from tests.training.test_run_logger import TINY

VIDEOS = "logging.tensorboard_videos=true"
WORDS = ("environment=grid_world", "evaluation.settings=[{}, {environment: bandit}]")


def test_only_jobs_that_ask_for_it_and_have_a_grid_world_are_filmed():
    for words, is_filmed in (([VIDEOS, *WORDS], True), (WORDS, False), ([VIDEOS, "environment=bandit"], False)):
        job = compose_job(list(words))
        assert (make_film(job, experiment_suite(job)) is not None) == is_filmed
        assert make_periodic_film(job) is None


@pytest.mark.long
def test_a_job_is_filmed_at_its_meta_tests(tmp_path):
    tests = ("evaluation.every_updates=2", "evaluation.periodic_tasks=2", "architecture.updates_per_call=1")
    words = [*TINY, *WORDS, *tests, "logging.tensorboard=true", VIDEOS]
    job = compose_job([*words, "num_updates=5", f"run_dir={tmp_path}"])
    train(job, lambda line: None, None, make_periodic_test(job), make_periodic_film(job))
    videos = videos_in(tmp_path / "tensorboard")
    assert [(update, tag) for update, tag, _ in videos] == [
        (update, "eval/experiment/grid_world/lifetime_length_6/video") for update in (2, 4)
    ]
