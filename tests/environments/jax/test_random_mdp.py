"""Random MDPs: what their rewards mean, goals, delays, and their teacher."""

import jax
import numpy as np
import pytest

from podmeta.config.schema import RandomMDPConfig
from podmeta.environments.jax.mdp_tables import NEVER, distances_to
from podmeta.environments.jax.random_mdp import REWARDS, RandomMDP
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from tests.environments.jax.families import assert_on_one_scale, assert_teacher_beats_random, live

ALL = RandomMDP(RandomMDPConfig(num_states=12, num_actions=3))
LAKES = RandomMDP(RandomMDPConfig(num_states=25, num_actions=4, rewards=["goal"], transitions=["map"], difficulty=1.0))
DELAYED = RandomMDP(RandomMDPConfig(rewards=["actions"], longest_delay=5))
CONTEXTS, ACTIONS, STATES, TIME, GOAL = range(len(REWARDS))


@pytest.fixture(scope="module")
def teacher():
    return live(ALL, 160, 200, follows_teacher=True)


@pytest.fixture(scope="module")
def random():
    return live(ALL, 160, 200, follows_teacher=False)


@pytest.mark.long
def test_the_teacher_beats_random_whatever_is_paid(teacher, random):
    assert_teacher_beats_random(teacher, random, REWARDS)


def test_advantages_are_on_one_scale(random):
    assert_on_one_scale(random)


def test_rewards_are_what_their_kinds_say(random):
    resets = np.roll(random.last, 1, axis=1)
    resets[:, 0] = False
    time = random.by_reward(TIME)
    np.testing.assert_array_equal(time.reward, np.where(resets[random.task.reward == TIME], 0, -1))
    goal = random.by_reward(GOAL)
    assert set(np.unique(goal.reward)) == {0, 1}
    assert np.all(goal.terminated[goal.reward == 1])
    assert np.any(goal.terminated & (goal.reward == 0))  # holes
    assert set(np.unique(random.by_reward(STATES).reward)) == {-1, 0, 1}
    assert not random.by_reward(CONTEXTS).terminated.any()


def test_contexts_are_uniform_and_no_action_is_better_on_average(random, assert_frequency):
    bandits = random.by_reward(CONTEXTS)
    for state in range(12):
        assert_frequency(bandits.state.state[:, ::7] == state, 1 / 12)
    means = bandits.task.rewards.of_action.mean(axis=1)
    np.testing.assert_allclose(means, np.broadcast_to(means[:, :1], means.shape), atol=1e-5)


@pytest.fixture(scope="module")
def lakes():
    return live(LAKES, 60, 150, follows_teacher=True)


def test_goals_of_lakes_are_steps_away_and_within_reach(lakes):
    tasks = lakes.task
    goals = tasks.rewards.of_entry.argmax(axis=1)
    holes = tasks.rewards.ends.copy()
    holes[np.arange(60), goals] = False
    distances = jax.jit(jax.vmap(distances_to))(goals, holes, tasks.transitions.successors[..., 0])
    starts = tasks.starts[:, 0]
    from_start = np.asarray(distances)[np.arange(60), starts]
    assert np.all((from_start > 0) & (from_start < NEVER))
    assert from_start.mean() > 2.5
    assert from_start.max() >= 6
    assert 0.05 < holes.mean() < 0.4
    # Where actions do not slip, the teacher reaches it.
    certain = (tasks.transitions.slip == 0) & (tasks.transitions.jump == 0)
    np.testing.assert_array_equal(lakes.reward[certain], lakes.terminated[certain])
    assert np.all(lakes.terminated[certain].any(axis=1))


def test_episodes_start_in_starts_and_no_other_state(lakes):
    for task_starts, number, states, last in zip(
        lakes.task.starts, lakes.task.num_starts, lakes.state.state, lakes.last, strict=True
    ):
        first = states[2:][last[:-2]]  # the step after the last one is the reset
        assert set(first) <= set(task_starts[:number])


def test_delayed_rewards_are_paid_in_full_later():
    at_once = RandomMDP(RandomMDPConfig(rewards=["actions"]))
    delayed, prompt = (live(mdp, 40, 100, follows_teacher=True) for mdp in (DELAYED, at_once))
    assert set(delayed.task.delay) > {1, 2}
    paid = delayed.reward.cumsum(axis=1)
    earned = prompt.reward.cumsum(axis=1)
    owed = delayed.state.owed
    for task in range(40):
        if delayed.task.noise[task] or prompt.task.delay[task] != 1:
            continue
        # What the first steps of an episode earned is what was paid and what is owed.
        length = np.argmax(delayed.last[task]) if delayed.last[task].any() else 99
        if np.array_equal(delayed.state.state[task, :length], prompt.state.state[task, :length]):
            np.testing.assert_allclose(
                (paid[task] + np.roll(owed[task], -1))[: length - 1], earned[task][: length - 1], atol=1e-3
            )
    waits = delayed.task.delay > 2
    assert np.mean(delayed.reward[waits] == 0) > 0.5


@pytest.mark.long
@pytest.mark.parametrize(("num_states", "num_actions", "num_observations"), [(2, 2, 0), (4, 2, 6), (64, 4, 0)])
def test_sizes(num_states, num_actions, num_observations):
    config = RandomMDPConfig(num_states=num_states, num_actions=num_actions, num_observations=num_observations)
    lived = live(make_environment(config), 20, 40, follows_teacher=True)
    assert lived.observation.shape == (20, 40, num_observations or num_states)
    assert np.all(np.isfinite(lived.reward)) and np.all(np.isfinite(lived.advantages))
    if not num_observations:
        np.testing.assert_array_equal(lived.observation.sum(-1), 1)


@pytest.mark.parametrize("key", ["rewards", "transitions"])
def test_a_config_without_kinds_is_refused(key):
    with pytest.raises(InputError, match=rf"environment\.{key}"):
        make_environment(RandomMDPConfig(**{key: []}))
