"""Experiments with another environment, learner or outer loop than their own."""

import dataclasses

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options, member_of
from podmeta.config.schema import (
    GROUPS,
    AnakinConfig,
    FactoryConfig,
    GymnasiumConfig,
    HostEnvironmentConfig,
    LearnerFactoryConfig,
    OuterFactoryConfig,
    RecurrentConfig,
    SebulbaConfig,
)
from podmeta.config.swaps import swap_notes

EXPERIMENTS = ["bandit", "cartpole", "sebulba_cartpole", "bandit_actor_critic_symmetric", "gridworld", "sebulba_pong"]
ENVIRONMENTS = {
    "environment=gymnasium/Acrobot-v1": GymnasiumConfig,
    "environment.factory=mine:make": FactoryConfig,
    "environment=cartpole": GROUPS["environment"]["gymnax"],
}


@pytest.mark.long
@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_another_environment_needs_no_further_key(experiment, environment):
    job = compose_job([f"experiment={experiment}", environment])
    assert type(job.environment) is ENVIRONMENTS[environment]
    unroll_length = getattr(job.outer, "unroll_length", 0)
    assert not unroll_length or job.environment.lifetime_length % unroll_length == 0
    if not isinstance(job.environment, FactoryConfig):  # of which only calling the function tells
        on_host = isinstance(job.environment, HostEnvironmentConfig)
        assert isinstance(job.architecture, SebulbaConfig if on_host else AnakinConfig)


def test_what_the_command_line_says_of_the_unroll_stays():
    swapped = ["experiment=sebulba_cartpole", "environment=gymnasium/Acrobot-v1"]
    assert compose_job(swapped).outer.unroll_length == 125
    assert compose_job([*swapped, "outer.unroll_length=128"]).outer.unroll_length == 128
    assert compose_job([*swapped, "environment.lifetime_length=499"]).outer.unroll_length == 128  # 499 is a prime


def test_the_architecture_that_is_chosen_stays():
    assert compose_job(["environment=gymnasium/Acrobot-v1", "architecture=anakin"]).architecture.name == "anakin"
    assert compose_job(["environment=gymnasium/Acrobot-v1", "architecture.actor_threads=1"]).architecture == (
        SebulbaConfig(actor_threads=1)
    )


def test_keys_that_both_have_stay_and_the_others_go():
    before, after = compose_job(["experiment=cartpole"]), compose_job(["experiment=cartpole", "learner=recurrent"])
    assert isinstance(after.learner, RecurrentConfig)
    assert dataclasses.replace(after, learner=before.learner) == before


def test_meta_tests_that_change_what_the_environment_has_not_are_left_out():
    assert compose_job(["experiment=bandit"]).evaluation.settings == [{"num_arms": arms} for arms in (2, 5, 10)]
    assert compose_job(["experiment=bandit", "environment=gymnasium"]).evaluation.settings == [{}]
    assert len(compose_job(["experiment=bandit", "environment=bandit"]).evaluation.settings) == 3


def test_a_factory_alone_chooses_a_learner_and_an_outer_loop():
    given = ["learner.factory=a:b", "learner.options={width: 3}", "outer.factory=c:d", "outer.slots=4"]
    job = compose_job(["experiment=bandit", *given])
    assert job.learner == LearnerFactoryConfig(factory="a:b", options={"width": 3})
    assert job.outer == OuterFactoryConfig(factory="c:d", slots=4)


@pytest.mark.parametrize("group", list(GROUPS))
def test_every_preset_is_of_a_member_of_its_group(group):
    assert all(member_of(group, preset) in GROUPS[group].values() for preset in list_options(group))
    assert member_of(group, "no_such_preset") is None


@pytest.mark.parametrize("preset", ["cartpole", "envpool_pong", "grid_world_random_sign"])
def test_a_preset_is_of_the_member_that_it_makes(preset):
    assert type(compose_job([f"environment={preset}"]).environment) is member_of("environment", preset)


def test_keys_that_are_dropped_are_named_in_one_line():
    (line,) = swap_notes(["experiment=bandit", "environment=gymnasium/Acrobot-v1", "seed=1"])
    assert "environment=gymnasium" in line and "evaluation.settings" in line
    (line,) = swap_notes(["experiment=cartpole", "outer=evolution"])
    assert "outer=evolution" in line and "outer.num_lifetimes" in line and "learner" not in line


@pytest.mark.parametrize("same", [[], ["environment=bandit"], ["learner.hidden_size=3"]])
def test_nothing_is_said_where_all_keys_of_the_experiment_fit(same):
    assert swap_notes(["experiment=bandit", *same]) == []
    assert swap_notes(same) == []
