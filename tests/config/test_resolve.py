"""Mixtures, stages and evaluation settings, from what a user writes to typed configs, and what is wrong with them."""

import dataclasses

import pytest

from podmeta.config.compose import compose_job, job_from_yaml, job_to_yaml
from podmeta.config.resolve import evaluation_settings
from podmeta.config.schema import (
    GROUPS,
    ActorCriticConfig,
    BanditConfig,
    EvolutionConfig,
    GymnaxConfig,
    MixtureConfig,
    MixtureEntryConfig,
    StageConfig,
)
from podmeta.errors import InputError

ENTRIES = (
    "[{environment: bandit, num_arms: 10, lifetimes: 2}, {environment: bandit, lifetime_length: 50, label: short},"
    " {environment: cartpole, weight: 2}]"
)
MIXTURE = ("environment=mixture", f"environment.entries={ENTRIES}")
STAGES = (
    "stages=[{environment: bandit, num_arms: 2, num_updates: 10, outer: {learning_rate: 0.01}},"
    " {num_updates: 5, num_arms: 7}, {environment: mixture, num_updates: 7, entries: " + ENTRIES + "}]"
)


@pytest.fixture(scope="module")
def mixture():
    return compose_job([*MIXTURE])


@pytest.fixture(scope="module")
def curriculum():
    return compose_job([STAGES, "environment.lifetime_length=30"])


def test_entries_are_presets_with_keys_changed(mixture):
    first, second, third = mixture.environment.entries
    assert first == MixtureEntryConfig(BanditConfig(num_arms=10), lifetimes=2, label="bandit_num_arms_10")
    assert second == MixtureEntryConfig(BanditConfig(lifetime_length=50), label="short")
    assert (third.weight, third.label) == (2.0, "cartpole")
    assert isinstance(third.environment, GymnaxConfig) and third.environment.failure_reward


def test_stages_change_the_jobs_environment_where_they_name_none(curriculum):
    first, second, third = curriculum.stages
    assert first.environment == BanditConfig(num_arms=2)
    assert second.environment == BanditConfig(num_arms=7, lifetime_length=30)
    assert isinstance(third.environment, MixtureConfig) and third.environment.is_whole
    assert (first.outer.learning_rate, second.outer) == (0.01, curriculum.outer)


def test_a_stage_may_have_another_outer_loop_from_its_defaults():
    stages = "stages=[{num_updates: 1, outer: {name: actor_critic, num_epochs: 3}}, {num_updates: 1}]"
    other, own = compose_job([stages, "outer.learning_rate=0.7"]).stages
    assert other.outer == ActorCriticConfig(num_epochs=3)
    assert own.outer == EvolutionConfig(learning_rate=0.7)


@pytest.mark.parametrize("name", ["mixture", "curriculum"])
def test_a_saved_job_is_whole_and_comes_back_the_same(name, request, tmp_path, monkeypatch):
    job = request.getfixturevalue(name)
    path = tmp_path / "config.yaml"
    path.write_text(job_to_yaml(job), encoding="utf-8")
    # A preset may have changed since: none is looked at.
    monkeypatch.setattr("podmeta.config.resolve.environment_preset", None)
    assert job_from_yaml(path, []) == job


def test_a_job_lasts_as_long_as_its_stages_unless_it_says_otherwise(curriculum):
    assert curriculum.num_updates == 22
    assert compose_job([STAGES, "num_updates=12"]).num_updates == 12
    assert compose_job([STAGES, "stages.0.num_updates=1"]).num_updates == 13
    assert compose_job([]).num_updates == 100


def test_meta_tests_are_of_every_entry_or_of_what_a_setting_names(mixture):
    settings = evaluation_settings(mixture)
    assert [setting.environment for setting in settings] == [entry.environment for entry in mixture.environment.entries]
    assert [setting.changes for setting in settings] == [
        {"entry": entry.label} for entry in mixture.environment.entries
    ]
    named = compose_job([*MIXTURE, "evaluation.settings=[{environment: bandit, num_arms: 3}]"])
    assert [setting.environment for setting in evaluation_settings(named)] == [BanditConfig(num_arms=3)]


def test_a_curriculum_is_meta_tested_as_its_last_stage_is(curriculum):
    last = curriculum.stages[-1].environment
    assert [setting.environment for setting in evaluation_settings(curriculum)] == [
        entry.environment for entry in last.entries
    ]


def test_keys_of_entries_and_stages_are_no_keys_of_an_environment():
    beside = {field.name for schema in (MixtureEntryConfig, StageConfig) for field in dataclasses.fields(schema)}
    for schema in GROUPS["environment"].values():
        assert not beside & {field.name for field in dataclasses.fields(schema)}


WRONG_ENTRIES = {
    "[]": [r"environment\.entries is empty"],
    "[bandit]": [r"environment\.entries\[0\]='bandit' is not a mapping"],
    "[{num_arms: 3}]": [r"environment\.entries\[0\] has no environment"],
    "[{environment: bandit}, {environment: bandt}]": [r"entries\[1\]\.environment=bandt", "Did you mean bandit"],
    "[{environment: bandit, num_armz: 3}]": [r"environment\.entries\[0\]\.num_armz", "Did you mean num_arms"],
    "[{environment: bandit, wieght: 3}]": [r"environment\.entries\[0\]\.wieght", "Did you mean weight"],
    "[{environment: bandit}, {environment: cartpole, lifetime_length: long}]": [
        r"environment\.entries\[1\]\.lifetime_length",
        "long",
    ],
    "[{environment: bandit, lifetimes: many}]": [r"environment\.entries\[0\]\.lifetimes", "many"],
    "[{environment: bandit, num_arms: 1}]": [r"environment\.entries\[0\]\.num_arms=1", "at least 2"],
    "[{environment: bandit, distribution: dependent_easy}]": [r"environment\.entries\[0\]\.num_arms=2"],
    "[{environment: bandit, weight: -1}]": [r"environment\.entries\[0\]\.weight=-1", "at least 0"],
    "[{environment: bandit, weight: 0}, {environment: cartpole, weight: 0}]": ["weight 0"],
    "[{environment: bandit}, {environment: bandit}]": [r"entries\[1\]", r"entries\[0\]", "label"],
    "[{environment: mixture, entries: [{environment: bandit}]}]": [r"entries\[0\] is itself a mixture"],
}


@pytest.mark.long
@pytest.mark.parametrize("entries", WRONG_ENTRIES)
def test_what_is_wrong_with_an_entry_is_told_with_its_index(entries):
    _assert_refused(["environment=mixture", f"environment.entries={entries}"], WRONG_ENTRIES[entries])
    within_a_stage = f"stages=[{{environment: mixture, num_updates: 3, entries: {entries}}}]"
    parts = [part.replace("environment\\.entries", "entries") for part in WRONG_ENTRIES[entries]]
    _assert_refused([within_a_stage], [r"stages\[0\]\.", *parts])


WRONG_STAGES = {
    "[bandit]": [r"stages\[0\]='bandit' is not a mapping"],
    "[{environment: bandit}]": [r"stages\[0\] has no num_updates"],
    "[{num_updates: 3}, {num_updates: 0}]": [r"stages\[1\]\.num_updates=0", "at least 1"],
    "[{num_updates: some}]": [r"stages\[0\]\.num_updates", "some"],
    "[{num_updates: 3, num_armz: 3}]": [r"stages\[0\]\.num_armz", "Did you mean num_arms"],
    "[{num_updates: 3, num_arms: 1}]": [r"stages\[0\]\.num_arms=1", "at least 2"],
    "[{num_updates: 3, environment: {name: bandt}}]": [r"stages\[0\]\.environment\.name=bandt", "Did you mean bandit"],
    "[{num_updates: 3, outer: {learning_rat: 1}}]": [r"stages\[0\]\.outer\.learning_rat'", "learning_rate"],
    "[{num_updates: 3, outer: {learning_rate: -1}}]": [r"stages\[0\]\.outer\.learning_rate=-1", "above 0"],
    "[{num_updates: 3, outer: {name: actor_critik}}]": [r"stages\[0\]\.outer\.name=actor_critik", "Did you mean"],
    "[{num_updates: 3, outer: {name: actor_critic, noise_std: 1}}]": [r"stages\[0\]\.outer\.noise_std"],
    "[{num_updates: 3, outer: 0.1}]": [r"stages\[0\]\.outer=0\.1 is not a mapping"],
}


@pytest.mark.parametrize("stages", WRONG_STAGES)
def test_what_is_wrong_with_a_stage_is_told_with_its_index(stages):
    _assert_refused([f"stages={stages}"], WRONG_STAGES[stages])


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["evaluation.settings=[{}, {num_armz: 3}]"], [r"evaluation\.settings\[1\]\.num_armz"]),
        (["evaluation.settings=[{}, 3]"], [r"evaluation\.settings\[1\]=3"]),
        ([*MIXTURE, "evaluation.settings=[{num_arms: 3}]"], [r"evaluation\.settings\[0\]", "without an environment"]),
        ([*MIXTURE, "stages=[{num_updates: 1, num_arms: 3}]"], [r"stages\[0\]", "without an environment"]),
        (
            [STAGES, "architecture.num_instances=2", "architecture.instance_learning_rates=[0.1, 0.2]"],
            [r"stages\[0\]\.outer\.learning_rate", "instance_learning_rates"],
        ),
    ],
)
def test_what_does_not_go_together_is_told(overrides, parts):
    _assert_refused(overrides, parts)


def _assert_refused(overrides, parts):
    with pytest.raises(InputError) as refusal:
        compose_job(overrides)
    for part in parts:
        refusal.match(part)
