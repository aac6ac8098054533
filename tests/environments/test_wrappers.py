"""Task wrappers, as properties over an environment that shows and pays what its task says."""

import functools
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.environments.bandit import BernoulliBandit
from podmeta.environments.base import Environment, is_last, restart, transition
from podmeta.environments.wrappers import (
    DuplicatedObservations,
    FailureReward,
    FlippedObservationSigns,
    PermutedActions,
    PermutedObservations,
    ScaledObservations,
)
from podmeta.errors import InputError

SHAPES = [(1,), (6,), (2, 3), (2, 2, 2)]
seeds = st.integers(0, 2**31 - 1)
shapes = st.sampled_from(SHAPES)
few_examples = settings(max_examples=8, deadline=None)


class LineTask(NamedTuple):
    arms: jax.Array
    picture: jax.Array


class Line(Environment[LineTask, jax.Array]):
    """Shows a picture drawn with the task plus random specks, and pays for each action what the task says.

    Action 0 terminates the episode; the third step truncates it.
    """

    def __init__(self, shape, num_actions=4):
        self._shape = shape
        self._num_actions = num_actions

    def observation_spec(self):
        size = int(np.prod(self._shape))
        low = -np.arange(1.0, size + 1).reshape(self._shape)
        return specs.BoundedArray(self._shape, np.float32, minimum=low, maximum=3 * np.ones(self._shape))

    def action_spec(self):
        return specs.DiscreteArray(self._num_actions, np.int32)

    def sample_task(self, key):
        arms_key, picture_key = jax.random.split(key)
        arms = jax.random.normal(arms_key, (self._num_actions,))
        return LineTask(arms, jax.random.uniform(picture_key, self._shape))

    def reset(self, key, task):
        return jnp.array(0), restart(self._observe(key, task))

    def step(self, key, task, state, action):
        timestep = transition(task.arms[action], self._observe(key, task), action == 0, state + 1 >= 3)
        return state + 1, timestep

    def expected_rewards(self, task, state):
        return task.arms

    def _observe(self, key, task):
        low = jnp.asarray(self.observation_spec().minimum)
        return low + (3.0 - low) * (0.5 * task.picture + 0.5 * jax.random.uniform(key, self._shape))


class Push(Environment[tuple[()], tuple[()]]):
    """Shows the action it is given, a box of equal or of `growing` bounds."""

    def __init__(self, num_actions, growing=False):
        self._bounds = np.arange(1.0, num_actions + 1) if growing else 2.0 * np.ones(num_actions)

    def observation_spec(self):
        return self.action_spec()

    def action_spec(self):
        return specs.BoundedArray(self._bounds.shape, np.float32, minimum=-self._bounds, maximum=self._bounds)

    def sample_task(self, key):
        return ()

    def reset(self, key, task):
        return (), restart(jnp.zeros(self._bounds.shape))

    def step(self, key, task, state, action):
        return (), transition(0.0, action)


def episode(environment, task, seed):
    """The time steps of an episode of the actions 1, 2 and 3."""
    key = jax.random.key(seed)
    state, timestep = environment.reset(key, task)
    timesteps = [timestep]
    for action in (1, 2, 3):
        state, timestep = environment.step(jax.random.fold_in(key, action), task, state, jnp.array(action))
        timesteps.append(timestep)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *timesteps)


def assert_same_but(names, outer, inner):
    for name in set(dm_env.TimeStep._fields) - set(names):
        np.testing.assert_array_equal(getattr(outer, name), getattr(inner, name))


def assert_within(observations, spec):
    for observation in observations:
        spec.validate(observation)


@few_examples
@given(shape=shapes, seed=seeds)
def test_unpermuted_observations_are_those_inside(shape, seed):
    inside = Line(shape)
    environment = PermutedObservations(inside)
    task = environment.sample_task(jax.random.key(seed))
    size = int(np.prod(shape))
    np.testing.assert_array_equal(np.sort(task.drawn), np.arange(size))

    outer, inner = episode(environment, task, seed), episode(inside, task.inner, seed)
    flat = outer.observation.reshape(-1, size)
    np.testing.assert_array_equal(flat[:, np.argsort(task.drawn)].reshape(inner.observation.shape), inner.observation)
    np.testing.assert_array_equal(flat, inner.observation.reshape(-1, size)[:, task.drawn])
    assert_same_but(["observation"], outer, inner)
    assert_within(outer.observation, environment.observation_spec())


@few_examples
@given(shape=shapes, seed=seeds)
def test_flipped_observations_are_those_inside_up_to_their_signs(shape, seed):
    inside = Line(shape)
    environment = FlippedObservationSigns(inside)
    task = environment.sample_task(jax.random.key(seed))
    assert set(np.unique(task.drawn)) <= {-1.0, 1.0}

    outer, inner = episode(environment, task, seed), episode(inside, task.inner, seed)
    signs = np.asarray(task.drawn).reshape(shape)
    np.testing.assert_array_equal(outer.observation, signs * inner.observation)
    assert_same_but(["observation"], outer, inner)
    assert_within(outer.observation, environment.observation_spec())


@few_examples
@given(shape=shapes, seed=seeds, data=st.data())
def test_scaled_observations_follow_their_factors(shape, seed, data):
    inside = Line(shape)
    size = int(np.prod(shape))
    num_factors = data.draw(st.sampled_from([1, size]))
    factor = st.floats(-100, 100, width=32)
    factors = data.draw(st.lists(factor, min_size=num_factors, max_size=num_factors))
    environment = ScaledObservations(inside, factors)
    task = environment.sample_task(jax.random.key(seed))

    outer, inner = episode(environment, task, seed), episode(inside, task.inner, seed)
    expected = inner.observation * np.broadcast_to(np.float32(factors), size).reshape(shape)
    # JAX may flush what is next to nothing to 0.
    np.testing.assert_allclose(outer.observation, expected, rtol=1e-6, atol=1e-30)
    assert_same_but(["observation"], outer, inner)
    assert_within(outer.observation, environment.observation_spec())


@few_examples
@given(shape=shapes, seed=seeds, copies=st.integers(1, 3))
def test_every_copy_of_an_observation_is_the_one_inside(shape, seed, copies):
    inside = Line(shape)
    environment = DuplicatedObservations(inside, copies)
    task = environment.sample_task(jax.random.key(seed))
    outer, inner = episode(environment, task, seed), episode(inside, task.inner, seed)
    size = int(np.prod(shape))
    for each in outer.observation.reshape(-1, copies, size).swapaxes(0, 1):
        np.testing.assert_array_equal(each, inner.observation.reshape(-1, size))
    assert_same_but(["observation"], outer, inner)
    assert_within(outer.observation, environment.observation_spec())


def test_scaled_bounds_may_overflow_but_are_never_nan():
    class Unbounded(Line):
        def observation_spec(self):
            largest = np.finfo(np.float32).max
            return specs.BoundedArray((3,), np.float32, minimum=-largest, maximum=[np.inf, largest, largest])

    spec = ScaledObservations(Unbounded((3,)), [0.0, -2.0, 1.0]).observation_spec()
    largest = np.finfo(np.float32).max
    np.testing.assert_array_equal(spec.minimum, np.float32([0.0, -np.inf, -largest]))
    np.testing.assert_array_equal(spec.maximum, np.float32([0.0, np.inf, largest]))


@few_examples
@given(num_actions=st.integers(4, 7), seed=seeds)
def test_permuted_actions_do_what_their_own_actions_do_inside(num_actions, seed):
    inside = Line((2,), num_actions)
    environment = PermutedActions(inside)
    task = environment.sample_task(jax.random.key(seed))
    np.testing.assert_array_equal(np.sort(task.drawn), np.arange(num_actions))
    state, _ = environment.reset(jax.random.key(seed), task)

    expected = environment.expected_rewards(task, state)
    for action in range(num_actions):
        outer = environment.step(jax.random.key(seed), task, state, jnp.array(action))
        inner = inside.step(jax.random.key(seed), task.inner, state, task.drawn[action])
        jax.tree.map(np.testing.assert_array_equal, outer, inner)
        assert outer[1].reward == expected[action]


@few_examples
@given(num_actions=st.integers(1, 5), seed=seeds)
def test_permuted_box_actions_move_their_components(num_actions, seed):
    environment = PermutedActions(Push(num_actions))
    task = environment.sample_task(jax.random.key(seed))
    action = jax.random.uniform(jax.random.key(seed), (num_actions,))
    _, timestep = environment.step(jax.random.key(seed), task, (), action)
    # Component i of the action is component drawn[i] inside, which Push shows.
    np.testing.assert_array_equal(timestep.observation[task.drawn], action)
    assert environment.action_spec() == Push(num_actions).action_spec()


def test_box_actions_of_unequal_bounds_are_not_permuted():
    with pytest.raises(InputError, match=r"environment\.permute_actions"):
        PermutedActions(Push(2, growing=True))


@few_examples
@given(seed=seeds, actions=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_only_failure_is_paid_for(seed, actions):
    inside = Line((2,))
    environment = FailureReward(inside)
    task = environment.sample_task(jax.random.key(seed))
    state, timestep = environment.reset(jax.random.key(seed), task)
    assert timestep.reward == 0.0
    for action in actions:
        expected = inside.step(jax.random.key(seed), task.inner, state, jnp.array(action))[1]
        state, timestep = environment.step(jax.random.key(seed), task, state, jnp.array(action))
        assert timestep.reward == (-1.0 if action == 0 else 0.0)  # action 0 terminates; the third step truncates
        assert_same_but(["reward"], timestep, expected)
        if is_last(timestep):
            break
    assert is_last(timestep)


def test_expected_rewards_pass_through():
    bandit = BernoulliBandit(5)
    for wrap in (PermutedObservations, FlippedObservationSigns, functools.partial(ScaledObservations, factors=[2.0])):
        environment = wrap(bandit)
        task = environment.sample_task(jax.random.key(0))
        np.testing.assert_array_equal(environment.expected_rewards(task, ()), task.inner)


@pytest.mark.parametrize("wrap", [PermutedObservations, PermutedActions, FlippedObservationSigns])
def test_lifetimes_differ_and_cover_all_draws_equally(wrap):
    environment = wrap(Line((3,), num_actions=3))
    tasks = jax.vmap(environment.sample_task)(jax.random.split(jax.random.key(0), 4000))
    draws, counts = np.unique(tasks.drawn, axis=0, return_counts=True)
    num_draws = 8 if wrap is FlippedObservationSigns else 6
    assert len(draws) == num_draws
    expected = 4000 / num_draws
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_wrapped_environments_jit_and_vmap():
    environment = PermutedActions(PermutedObservations(FlippedObservationSigns(Line((2, 3)))))

    def first_step(key):
        task = environment.sample_task(key)
        state, _ = environment.reset(key, task)
        return environment.step(key, task, state, jnp.array(1))[1]

    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(first_step))(keys)
    apart = [first_step(key) for key in keys]
    jax.tree.map(
        lambda batch, *single: np.testing.assert_allclose(batch, np.stack(single), rtol=1e-6), together, *apart
    )


@pytest.mark.parametrize("factors", [[1.0, 2.0], [1.0] * 7, [float("nan")], []])
def test_wrong_scales_are_told_by_key(factors):
    with pytest.raises(InputError, match=r"environment\.observation_scale"):
        ScaledObservations(Line((2, 3)), factors)
