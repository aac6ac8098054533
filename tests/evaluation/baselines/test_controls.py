"""Controls: what they do, and that they meet the tasks of the learner they are controls of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import ContextualBanditConfig, GymnaxConfig, SymmetricConfig, TabularMDPConfig
from podmeta.evaluation.baselines.controls import (
    ZEROED_INPUTS,
    alternating_inner_loop,
    deprivable_inner_loop,
    deprived,
    random_inner_loop,
)
from podmeta.inner_loop import build_inner_loop, environment_specs, make_learner_input, place_learner
from podmeta.learners.policies import make_policy
from podmeta.learners.registry import make_learner

ENVIRONMENT = ContextualBanditConfig(num_contexts=3, num_actions=4, lifetime_length=24)
EPISODIC = TabularMDPConfig(num_states=3, num_actions=2, horizon=4, lifetime_length=24)
LEARNER = SymmetricConfig(hidden_size=4, message_size=2)


@pytest.fixture(scope="module")
def meta_params():
    return build_inner_loop(LEARNER, ENVIRONMENT).init(jax.random.key(0))


def deprived_inner_loop(learner_config, environment_config, zeroed):
    """The plain form: the learner itself, with these fields of its input zeroed before it sees them."""
    observation_spec, action_spec = environment_specs(environment_config)
    policy = make_policy(action_spec)
    learner = make_learner(learner_config, observation_spec.shape, policy.num_actions, policy.num_policy_channels)

    def see_rest(timestep, previous_action):
        seen = make_learner_input(timestep, previous_action)
        if "episode_start" in zeroed:
            seen = seen._replace(previous_action=previous_action)
        return seen._replace(**{field: jnp.zeros_like(getattr(seen, field)) for field in zeroed})

    return place_learner(learner, policy, environment_config, see_rest)


def live(inner_loop, meta_params):
    return jax.jit(inner_loop.rollout)(meta_params, jax.random.key(1))


def test_alternation_takes_one_action_after_the_other():
    experience = live(alternating_inner_loop(ENVIRONMENT), None)
    np.testing.assert_array_equal(experience.action, np.arange(24) % 4)


def test_alternation_in_a_box_takes_one_end_and_then_the_other():
    experience = live(alternating_inner_loop(GymnaxConfig(id="Pendulum-v1", lifetime_length=8)), None)
    np.testing.assert_allclose(experience.action[:, 0], [1, -1] * 4, atol=0.1)


def test_a_random_policy_prefers_nothing():
    policy = live(random_inner_loop(ENVIRONMENT), None).learner_output.policy
    assert np.ptp(policy) == 0


@pytest.mark.parametrize("control", ZEROED_INPUTS)
def test_a_control_shows_zeros_in_place_of_its_inputs_and_everything_else_as_it_is(control):
    inner_loop = deprived_inner_loop(LEARNER, EPISODIC, ZEROED_INPUTS[control])
    experience = live(inner_loop, inner_loop.init(jax.random.key(0)))
    shown = experience.learner_input
    for field in shown._fields:
        if getattr(shown, field) is None:  # only the learner itself adds it
            continue
        assert np.any(getattr(shown, field)) == (field not in ZEROED_INPUTS[control]), field
    assert experience.action_ignored.sum() >= 2, "no episode ended: the test says nothing"
    if "reward" not in ZEROED_INPUTS[control]:
        np.testing.assert_array_equal(shown.reward[1:], experience.reward[:-1])
    if "episode_start" not in ZEROED_INPUTS[control]:
        np.testing.assert_array_equal(shown.episode_start[1:], experience.action_ignored[:-1])


def test_without_episode_starts_the_previous_action_does_not_give_them_away():
    """The learner itself sees no previous action there, and the control sees the one that it took."""
    for control, seen_at_starts in (("rewards_zeroed", 0), ("rewards_and_episode_starts_zeroed", 1)):
        inner_loop = deprived_inner_loop(LEARNER, EPISODIC, ZEROED_INPUTS[control])
        experience = live(inner_loop, inner_loop.init(jax.random.key(0)))
        one_hot = np.eye(inner_loop.policy.num_actions)[experience.action[:-1]]
        starts = np.asarray(experience.action_ignored[:-1])
        one_hot[starts] *= seen_at_starts
        np.testing.assert_array_equal(experience.learner_input.previous_action[1:], one_hot)


@pytest.mark.long
@pytest.mark.parametrize("zeroed", [(), *ZEROED_INPUTS.values()])
def test_one_program_is_the_learner_and_every_control(zeroed):
    plain, shared = deprived_inner_loop(LEARNER, EPISODIC, zeroed), deprivable_inner_loop(LEARNER, EPISODIC)
    meta_params = plain.init(jax.random.key(0))
    expected, experience = live(plain, meta_params), live(shared, deprived(meta_params, zeroed))
    np.testing.assert_allclose(experience.learner_output.policy, expected.learner_output.policy, atol=1e-4)
    np.testing.assert_array_equal(experience.action, expected.action)
    assert expected.action_ignored.sum() >= 2, "no episode ended: the test says nothing"


def test_a_control_that_hides_nothing_is_the_learner_itself(meta_params):
    whole = live(build_inner_loop(LEARNER, ENVIRONMENT), meta_params)
    same = live(deprivable_inner_loop(LEARNER, ENVIRONMENT), deprived(meta_params))
    np.testing.assert_array_equal(same.action, whole.action)


def test_all_meet_the_same_tasks(meta_params):
    key = jax.random.key(3)
    loops = [
        (build_inner_loop(LEARNER, ENVIRONMENT), meta_params),
        (random_inner_loop(ENVIRONMENT), None),
        (alternating_inner_loop(ENVIRONMENT), None),
        (deprivable_inner_loop(LEARNER, ENVIRONMENT), deprived(meta_params, ("reward",))),
    ]
    tasks = [loop.reset(theta, key).task.rewards for loop, theta in loops]
    for task in tasks[1:]:
        np.testing.assert_array_equal(task, tasks[0])
