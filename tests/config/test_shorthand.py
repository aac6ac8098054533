"""Environments written in one word, wherever a job names one."""

import pytest

from podmeta.config.compose import compose_job, job_from_yaml, job_to_yaml
from podmeta.config.resolve import evaluation_settings
from podmeta.config.schema import DmControlConfig, EnvpoolConfig, FactoryConfig, GymnasiumConfig, GymnaxConfig
from podmeta.errors import InputError


@pytest.mark.parametrize(
    ("word", "config"),
    [
        ("envpool/CartPole-v1", EnvpoolConfig(id="CartPole-v1")),
        ("gymnasium/ALE/Pong-v5", GymnasiumConfig(id="ALE/Pong-v5")),
        ("gymnasium/my_module:Mine-v0", GymnasiumConfig(id="my_module:Mine-v0")),
        ("dm_control/cartpole/swingup", DmControlConfig(id="cartpole/swingup")),
        ("gymnax/Acrobot-v1", GymnaxConfig(id="Acrobot-v1", lifetime_length=500)),
        ("envpool/it's, [odd] = 1", EnvpoolConfig(id="it's, [odd] = 1")),
    ],
)
def test_a_source_and_an_id_choose_an_environment(word, config, tmp_path):
    job = compose_job([f"environment={word}"])
    assert job.environment == config
    (tmp_path / "config.yaml").write_text(job_to_yaml(job), encoding="utf-8")
    assert job_from_yaml(tmp_path / "config.yaml", []).environment == config


def test_keys_and_options_stand_beside_the_word():
    job = compose_job(
        ["environment=envpool/Pong-v5", "environment.options.reward_clip=true", "environment.options.a=b"]
    )
    assert job.environment == EnvpoolConfig(id="Pong-v5", options={"reward_clip": True, "a": "b"})


def test_a_factory_alone_implies_its_environment():
    job = compose_job(["environment.factory=my_module:make_env", "environment.options.size=3"])
    assert job.environment == FactoryConfig(factory="my_module:make_env", options={"size": 3})
    assert compose_job(["environment.factory=a:b", "environment=factory"]).environment == FactoryConfig(factory="a:b")


def test_the_word_describes_environments_of_mixtures_stages_and_evaluations():
    entries = "environment.entries=[{environment: gymnax/Acrobot-v1}, {environment: gymnasium/CartPole-v1, label: b}]"
    job = compose_job(["environment=mixture", entries, "evaluation.settings=[{environment: envpool/Pong-v5}]"])
    first, second = job.environment.entries
    assert (first.environment.id, first.label) == ("Acrobot-v1", "gymnax/Acrobot-v1")
    assert (second.environment, second.label) == (GymnasiumConfig(id="CartPole-v1"), "b")
    assert evaluation_settings(job)[0].environment == EnvpoolConfig(id="Pong-v5")

    stages = "stages=[{environment: gymnax/Pendulum-v1, lifetime_length: 7, num_updates: 3}]"
    assert compose_job([stages]).stages[0].environment == GymnaxConfig(id="Pendulum-v1", lifetime_length=7)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["environment=gymnasum/CartPole-v1"], "environment=gymnasum/CartPole-v1 does not exist.*gymnasium"),
        (["environment=bandit/5"], "environment=bandit/5 does not exist"),
        (["environment=bandit", "environment.factory=a:b"], r"environment\.factory"),
        (["stages=[{environment: bandit/5, num_updates: 3}]"], r"stages\[0\]\.environment=bandit/5 does not exist"),
        (["environment=gymnasium/CartPole-v1", "environment.vectorisation=async"], "choose one of inline, processes"),
    ],
)
def test_other_words_are_told(overrides, message):
    with pytest.raises(InputError, match=message):
        compose_job(overrides)
