"""Whether a run has come to its end, by what its files hold and not by which there are. Nothing here needs JAX."""

import json
from pathlib import Path

from podmeta.config.periodic_tests import describe_periodic_tests
from podmeta.config.schema import JobConfig
from podmeta.config.suites import EXPERIMENT, experiment_suite, row_setting
from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.storage.json_files import ignore
from podmeta.storage.meta_params_id import newest_meta_params, summary_of
from podmeta.storage.meta_test_record import reason_to_stop
from podmeta.storage.run_files import Summary, read_evaluation


def is_done(job: JobConfig, run_path: Path) -> bool:
    """Whether a run directory holds all that a job makes: its last θ, its summary and its meta-test.

    The last θ is that of the last update, or of the update at which the job stopped early.

    The config of the run is taken to be the job's; see `podmeta.storage.run_directory.check_config`.

    Raises:
      InputError: summary.json or evaluation.jsonl is damaged.
    """
    newest = newest_meta_params(run_path)
    summary = None if newest is None else summary_of(run_path, newest)
    if newest is None or summary is None or not (newest.update >= job.num_updates or _stops_early(job, summary)):
        return False
    return not job.evaluation.enabled or is_tested(job, run_path)


def _stops_early(job: JobConfig, summary: Summary) -> bool:
    """Whether a job stops early where a run has ended."""
    record = summary.meta_tests
    if not reason_to_stop(record, job.evaluation.stop_after):
        return False
    return record is not None and record.tests == describe_periodic_tests(job)


def is_tested(job: JobConfig, run_path: Path) -> bool:
    """Whether the newest θ of a run was meta-tested in every setting of the job, on as many tasks of the same seed.

    With `evaluation.controls`, every setting must have a verdict too.
    Rows that do not record their θ do not count.

    Raises:
      InputError: summary.json or evaluation.jsonl is damaged.
    """
    newest = newest_meta_params(run_path)
    if newest is None or newest.sha256 is None:
        return False
    num_tasks, seed = job.evaluation.num_tasks, job.evaluation.seed
    tested = {
        (json.dumps([row.environment, row.setting], sort_keys=True), row.meta_params_sha256)
        for row in read_evaluation(run_path, ignore)
        if (row.suite, row.algorithm, row.num_tasks) == (EXPERIMENT, "learner", num_tasks)
        and row.evaluation_seed == seed
        and (row.metric == LEARNS_FROM_REWARD or not job.evaluation.controls)
    }
    instances = list(enumerate(newest.sha256)) if len(newest.sha256) > 1 else [(None, newest.sha256[0])]
    return all(
        (json.dumps([setting.environment.name, row_setting(setting, instance)], sort_keys=True), digest) in tested
        for setting in experiment_suite(job).settings
        for instance, digest in instances
    )
