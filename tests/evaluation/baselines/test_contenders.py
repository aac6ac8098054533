"""Whatever trains can be meta-tested: every environment in every transform, traced and not run."""

import dataclasses
import importlib.util

import jax
import pytest

from podmeta.config.schema import GROUPS, BanditConfig, DarkRoomConfig, GymnaxConfig, RecurrentConfig
from podmeta.errors import InputError
from podmeta.evaluation.baselines import bandit_references
from podmeta.evaluation.baselines.contenders import (
    REFERENCES,
    check_references,
    check_setting,
    is_bernoulli_bandit,
)
from podmeta.evaluation.meta_test import meta_test, tabulate
from podmeta.inner_loop import build_inner_loop

LEARNER = RecurrentConfig(hidden_size=2)
COMPILED = ["bandit", "contextual_bandit", "grid_world", "object_grid_world", "dark_room", "tabular_mdp", "gymnax"]
TRANSFORMS = {
    "permute_observations": True,
    "permute_actions": True,
    "flip_observation_signs": True,
    "observation_scale": [2.0],
    "observation_copies": 2,
    "failure_reward": True,
    "project_observations": "orthonormal",
    "discrete_actions": 5,
    "flip_action_signs": True,
    "flip_reward_sign": True,
    "reward_scale": [0.1, 10.0],
    "reward_offset": [-1.0, 1.0],
    "reward_delay": 2,
    "reward_period": 0,
    "padded_observation_size": 256,
    "padded_num_actions": 12,
}
ENDLESS = {"bandit", "contextual_bandit", "grid_world"}  # as they are by default: nothing can be paid at the end
REFUSED = {("failure_reward", name) for name in ENDLESS} | {("reward_period", name) for name in ENDLESS}
DISCRETE = {"flip_action_signs": False, "discrete_actions": 0}


def check(config, references=()):
    """Checks a setting that can be trained on."""
    meta_params = jax.eval_shape(build_inner_loop(LEARNER, config).init, jax.random.key(0))
    check_setting(meta_params, LEARNER, config, references)


def make(name, **keys):
    return dataclasses.replace(GROUPS["environment"][name](lifetime_length=4), **keys)


def test_the_transforms_are_those_that_there_are():
    every = {field.name for field in dataclasses.fields(GROUPS["environment"]["bandit"].__base__)}
    assert every == {"name", "lifetime_length", *TRANSFORMS}


@pytest.mark.long
@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("key", TRANSFORMS)
def test_what_can_be_built_can_be_tested(name, key):
    config = make(name, **{key: TRANSFORMS[key]})
    if (key, name) in REFUSED or key in DISCRETE:
        with pytest.raises(InputError, match=rf"environment\.{key}"):
            build_inner_loop(LEARNER, config)
    else:
        check(config)


@pytest.mark.parametrize(
    "name",
    [
        *COMPILED,
        "gymnasium",
        "envpool",
        pytest.param("xland", marks=pytest.mark.long),
        pytest.param("brax", marks=pytest.mark.long),
    ],
)
def test_all_transforms_together_with_every_reference(name):
    package = {"xland": "xminigrid"}.get(name, name)
    if name not in COMPILED and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    endless = {"failure_reward": False, "reward_period": 5} if name in ENDLESS else {}
    large = {"padded_observation_size": 2000}
    config = make(name, **(TRANSFORMS | DISCRETE | large | endless))
    check(config, REFERENCES)


def test_bandit_algorithms_are_for_rewards_of_0_and_1():
    assert is_bernoulli_bandit(BanditConfig(permute_actions=True))
    assert not is_bernoulli_bandit(BanditConfig(reward_scale=[10.0]))
    assert not is_bernoulli_bandit(GymnaxConfig())
    config = BanditConfig(reward_scale=[10.0], lifetime_length=5)
    meta_params = build_inner_loop(LEARNER, config).init(jax.random.key(0))
    measured = meta_test(meta_params, LEARNER, config, num_tasks=3, seed=0)
    assert set(measured) == {"learner", "random"} and measured["random"].regrets.max() <= 10


def test_a_lifetime_too_long_for_the_exact_table_has_the_approximate_indices_under_their_name(monkeypatch):
    config = BanditConfig(lifetime_length=6)
    meta_params = build_inner_loop(LEARNER, config).init(jax.random.key(0))
    algorithms = []
    for longest in (6, 5):
        monkeypatch.setattr(bandit_references, "LONGEST_EXACT_HORIZON", longest)
        measured = meta_test(meta_params, LEARNER, config, num_tasks=3, seed=0)
        rows = tabulate("suite", {}, "bandit", measured)
        algorithms.append({row.algorithm for row in rows} - {"learner", "random", "thompson", "ucb1"})
    assert algorithms == [{"gittins"}, {"gittins_approximate"}]


@pytest.mark.long
def test_the_sweep_is_compared_in_dark_rooms():
    config = DarkRoomConfig(height=3, width=3, episode_length=4, lifetime_length=10)
    check(config, REFERENCES)
    meta_params = build_inner_loop(LEARNER, config).init(jax.random.key(0))
    measured = meta_test(meta_params, LEARNER, config, num_tasks=3, seed=0, references=["sweep"])
    assert set(measured) == {"learner", "random", "sweep"}


def test_references_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="no 'dqn'; choose from alternation"):
        check_references(["rewards_zeroed", "dqn"])


def test_a_setting_of_other_sizes_is_refused():
    meta_params = jax.eval_shape(build_inner_loop(LEARNER, BanditConfig()).init, jax.random.key(0))
    with pytest.raises(InputError, match=r"does not fit environment\.name=gymnax"):
        check_setting(meta_params, LEARNER, GymnaxConfig())
