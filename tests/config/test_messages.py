"""What is suggested for a key that does not exist."""

import re

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.messages import _ALSO_CALLED
from podmeta.config.schema import schema_fields
from podmeta.errors import InputError

KEYS = {key for key, _ in schema_fields()}


def suggestions(override: str) -> list[str]:
    """What the message about an override asks whether it was meant."""
    with pytest.raises(InputError, match="unknown config key") as refused:
        compose_job(["experiment=bandit", override])
    found = re.search(r"Did you mean (.*)\?", str(refused.value))
    return found[1].split(" or ") if found else []


@pytest.mark.long
@pytest.mark.parametrize(
    ("override", "keys"),
    [
        ("lr=0.1", ["outer.learning_rate"]),
        ("outer.lr=0.1", ["outer.learning_rate"]),
        ("env=bandit", ["environment"]),
        ("env.num_arms=3", ["environment"]),
        ("total_timesteps=1000", ["num_updates"]),
        ("outer.total_timesteps=1000", ["num_updates"]),
        ("num_envs=8", ["outer.population_size", "outer.num_lifetimes"]),
        ("environment.num_envs=8", ["outer.population_size", "outer.num_lifetimes"]),
        ("eval=false", ["evaluation"]),
        ("eval.num_tasks=3", ["evaluation"]),
        # the right name in the wrong place
        ("num_arms=3", ["environment.num_arms"]),
        ("learner.noise_std=3", ["outer.noise_std"]),
        ("hidden_size=8", ["learner.hidden_size"]),
        # a misspelling
        ("sead=1", ["seed"]),
    ],
)
def test_the_key_that_was_meant_is_suggested(override, keys):
    assert suggestions(override) == keys


def test_nothing_is_suggested_for_a_word_that_nothing_is_like():
    assert suggestions("xyzzy=1") == []


def test_aliases_are_of_keys_that_exist_and_are_no_keys_themselves():
    assert _ALSO_CALLED.keys() <= KEYS
    aliases = {alias for names in _ALSO_CALLED.values() for alias in names}
    assert not aliases & KEYS


def test_a_plus_before_a_key_that_exists_is_named():
    with pytest.raises(InputError, match=r"'\+seed=1' adds a key that exists: write it without \+"):
        compose_job(["experiment=bandit", "+seed=1"])
