"""Which transforms go on, and in which order."""

import dataclasses

from podmeta.config.schema import EnvironmentConfig
from podmeta.environments.transforms.order import changes_rewards, transforms_of

ALL = EnvironmentConfig(
    name="any",
    failure_reward=True,
    observation_scale=[2.0],
    flip_observation_signs=True,
    project_observations="orthonormal",
    flip_action_signs=True,
    flip_reward_sign=True,
    reward_delay=2,
    reward_period=3,
    observation_copies=2,
    permute_observations=True,
    permute_actions=True,
    padded_observation_size=20,
)
IN_ORDER = [
    "FailureReward",
    "DelayedRewards",
    "AccumulatedRewards",
    "RescaledRewards",
    "ScaledObservations",
    "FlippedObservationSigns",
    "ProjectedObservations",
    "DuplicatedObservations",
    "PermutedObservations",
    "FlippedActionSigns",
    "PermutedActions",
    "Padded",
]


def names_of(config, inside):
    names = []
    for make in transforms_of(config):
        transform = make(inside)
        names.append(type(transform).__name__)
        inside = transform.outside
    return names


def test_all_go_on_from_the_inside_out(specs_with):
    assert names_of(ALL, specs_with(continuous=True)) == IN_ORDER


def test_what_changes_rewards():
    assert not changes_rewards(EnvironmentConfig(name="any", flip_observation_signs=True, permute_actions=True))
    for keys in ({"failure_reward": True}, {"reward_scale": [2.0]}, {"reward_delay": 1}, {"reward_period": 0}):
        assert changes_rewards(EnvironmentConfig(name="any", **keys))


def test_nothing_goes_on_unasked(specs_with):
    assert names_of(EnvironmentConfig(name="any"), specs_with()) == []


def test_each_goes_on_alone(specs_with):
    for field in dataclasses.fields(ALL):
        if field.name not in ("name", "lifetime_length") and getattr(ALL, field.name) != getattr(
            EnvironmentConfig(name="any"), field.name
        ):
            config = EnvironmentConfig(name="any", **{field.name: getattr(ALL, field.name)})
            assert len(names_of(config, specs_with(continuous=True))) == 1
