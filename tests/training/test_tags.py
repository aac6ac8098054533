import pytest

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.run_config import parse_run_config
from podmeta.distributed.memory import DEVICE_MEMORY, HOST_MEMORY
from podmeta.evaluation.periodic import MEAN_REWARD
from podmeta.storage.run_files import EvaluationRow
from podmeta.training.tags import hyper_parameters, metric_tag, result_tag

GROUPS = {
    "train": ("fitness_mean", "fitness_mean/1", "meta_params_norm", "env_steps", "stage", "lag_max", "loss/seconds"),
    "eval": (MEAN_REWARD, "test_reward_setting_0", f"{MEAN_REWARD}/1"),
    "time": (
        *("seconds", "save_seconds", "call_seconds/process_1", "env_steps_per_second", "updates_per_second"),
        *(HOST_MEMORY, DEVICE_MEMORY, "actor_queue_share", "learner_data_share/process_0", "queue_depth"),
    ),
}


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in GROUPS.items() for name in names])
def test_a_metric_keeps_its_name_in_its_group(group, name):
    assert metric_tag(name) == f"{group}/{name}"


def test_results_of_different_settings_have_different_tags_of_plain_characters():
    settings = [{"num_arms": 2, "lifetime_length": 10}, {"num_arms": 12, "lifetime_length": 10}, {"noise": 0.5}]
    rows = [
        EvaluationRow("experiment", "gymnax", setting, "learner", "regret", 1.0, 0.0, 2.0, 8, environment_id="A/B v1")
        for setting in settings
    ]
    assert [result_tag(row) for row in rows] == [
        "eval/experiment/A_B_v1/num_arms_2_lifetime_length_10/regret",
        "eval/experiment/A_B_v1/num_arms_12_lifetime_length_10/regret",
        "eval/experiment/A_B_v1/noise_0.5/regret",
    ]


def test_the_hyper_parameters_are_the_scalars_of_the_config():
    job = compose_job(["experiment=bandit", "seed=3", "outer.learning_rate=0.25"])
    found = hyper_parameters(parse_run_config(job_to_yaml(job), "the job"))
    assert (found["seed"], found["outer.learning_rate"], found["learner.name"]) == (3, 0.25, "symmetric")
    assert found["logging.wandb"] is False and "evaluation.settings" not in found
