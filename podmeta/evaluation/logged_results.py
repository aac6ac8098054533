"""The results of a run's meta-test in TensorBoard and Weights & Biases, where its training is logged."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from podmeta.config.run_config import read_config_file
from podmeta.config.schema import JobConfig
from podmeta.config.suites import Suite
from podmeta.evaluation.film import make_film
from podmeta.learners.base import MetaParams
from podmeta.storage.json_files import Warn
from podmeta.storage.run_files import TENSORBOARD_RESULTS, EvaluationRow
from podmeta.storage.signature import is_signed
from podmeta.training.tags import result_tag
from podmeta.training.tensorboard import EventFile
from podmeta.training.weights_and_biases import add_results


def log_results(
    job: JobConfig, suite: Suite, meta_params: MetaParams, run_path: Path, rows: Sequence[EvaluationRow], warn: Warn
) -> None:
    """Logs the learner's means and videos of it, as `logging.tensorboard`, `tensorboard_videos` and `wandb` say.

    TensorBoard gets event files in a folder of their own: it reads on in the newest file of a folder only, which would
    end the curves of a training that goes on. Weights & Biases gets them in the summary of the run. If it fails, or the
    run is not one that the user has started, a warning says so.

    Args:
      job: the run's config.
      suite: what was tested.
      meta_params: the θ that was tested, [num_instances, ...].
      run_path: the run directory.
      rows: of one θ.
      warn: shows the user a warning.

    Raises:
      PodmetaError: the event file could not be written.
    """
    of_learner = [row for row in rows if row.algorithm == "learner"]
    if not of_learner:
        return
    values = {result_tag(row): row.mean for row in of_learner}
    if job.logging.tensorboard:
        with contextlib.closing(EventFile(run_path / TENSORBOARD_RESULTS)) as events:
            events.write(of_learner[0].update, values)
            film = make_film(job, suite)
            if film is not None:
                events.write_videos(of_learner[0].update, film(meta_params))
    if job.logging.wandb:
        if is_signed(run_path, read_config_file(run_path / "config.yaml")):
            add_results(run_path, job.logging.wandb_project, values, warn)
        else:
            warn(f"no results go to Weights & Biases, because {run_path} is not a run that you have started here")
