"""JAX environments in transforms."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.environments.base import Environment, is_last, restart, step_or_reset, transition
from podmeta.environments.jax.bandit import Bandit
from podmeta.environments.jax.transformed import Transformed, TransformedTask, specs_of
from podmeta.environments.transforms.actions import PermutedActions
from podmeta.environments.transforms.observations import (
    FlippedObservationSigns,
    PermutedObservations,
    ScaledObservations,
)
from podmeta.environments.transforms.rewards import AccumulatedRewards, DelayedRewards, FailureReward
from podmeta.errors import InputError

seeds = st.integers(0, 2**31 - 1)
few_examples = settings(max_examples=6)


class LineTask(NamedTuple):
    arms: jax.Array
    picture: jax.Array


class Line(Environment[LineTask, jax.Array]):
    """Shows a picture drawn with the task plus random specks, and pays for each action what the task says.

    Action 0 terminates the episode; the third step truncates it.
    """

    def observation_spec(self):
        return specs.BoundedArray((2, 3), np.float32, minimum=0.0, maximum=2.0)

    def action_spec(self):
        return specs.DiscreteArray(4, np.int32)

    def sample_task(self, key):
        arms_key, picture_key = jax.random.split(key)
        return LineTask(jax.random.normal(arms_key, (4,)), jax.random.uniform(picture_key, (2, 3)))

    def reset(self, key, task):
        return jnp.array(0), restart(self._observe(key, task))

    def step(self, key, task, state, action):
        timestep = transition(task.arms[action], self._observe(key, task), action == 0, state + 1 >= 3)
        return state + 1, timestep

    def expected_rewards(self, task, state):
        return task.arms

    def _observe(self, key, task):
        return task.picture + jax.random.uniform(key, (2, 3))


def wrap(environment, make):
    return Transformed(environment, make(specs_of(environment)))


MAKERS = {
    "permuted observations": PermutedObservations,
    "flipped signs": FlippedObservationSigns,
    "permuted actions": PermutedActions,
    "failure reward": FailureReward,
}


@pytest.mark.parametrize("name", MAKERS)
@few_examples
@given(seed=seeds, actions=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_an_episode_is_that_inside_transformed(name, seed, actions):
    inside, key = Line(), jax.random.key(seed)
    transform = MAKERS[name](specs_of(inside))
    environment = Transformed(inside, transform)
    task = environment.sample_task(key)
    state, timestep = environment.reset(key, task)
    inner_state, inner = inside.reset(key, task.inner)
    for action in actions:
        jax.tree.map(np.testing.assert_array_equal, timestep, transform.outer_timestep(task.drawn, inner))
        np.testing.assert_array_equal(state, inner_state)
        environment.observation_spec().validate(np.asarray(timestep.observation))
        if is_last(timestep):
            break
        inner_action = transform.inner_action(task.drawn, jnp.array(action))
        state, timestep = environment.step(key, task, state, jnp.array(action))
        inner_state, inner = inside.step(key, task.inner, inner_state, inner_action)


@few_examples
@given(seed=seeds)
def test_actions_are_expected_to_pay_what_they_pay(seed):
    environment = wrap(Line(), PermutedActions)
    task = environment.sample_task(jax.random.key(seed))
    expected = environment.expected_rewards(task, jnp.array(0))
    for action in range(4):
        _, timestep = environment.step(jax.random.key(0), task, jnp.array(0), jnp.array(action))
        assert timestep.reward == expected[action]


def test_expected_rewards_pass_through_or_are_not_known():
    bandit = Bandit(5)
    scaled = functools.partial(ScaledObservations, factors=[2.0])
    for make in (PermutedObservations, FlippedObservationSigns, scaled):
        environment = wrap(bandit, make)
        task = environment.sample_task(jax.random.key(0))
        np.testing.assert_array_equal(environment.expected_rewards(task, ()), task.inner)
    assert wrap(Line(), FailureReward).expected_rewards(TransformedTask(LineTask(jnp.ones(4), ()), ()), ()) is None


@pytest.mark.parametrize(
    "make",
    [functools.partial(DelayedRewards, delay=2), functools.partial(AccumulatedRewards, period=2)],
    ids=["delayed", "accumulated"],
)
def test_what_a_transform_remembers_is_part_of_the_state(make):
    """Scanned over many episodes, and applied by hand to the time steps inside."""
    inside = Line()
    transform = make(specs_of(inside))
    environment = Transformed(wrap(inside, FlippedObservationSigns), transform)

    @functools.partial(jax.jit, static_argnums=0)
    def live(environment, task, key):
        def env_step(carry, now):
            state, timestep = carry
            step_key = jax.random.fold_in(key, now)
            after = step_or_reset(environment, step_key, task, state, timestep, jax.random.randint(step_key, (), 0, 4))
            return after, after[1]

        return jax.lax.scan(env_step, environment.reset(key, task), jnp.arange(40))[1]

    task = environment.sample_task(jax.random.key(0))
    shown = live(environment, task, jax.random.key(1))
    real = live(wrap(inside, FlippedObservationSigns), task.inner, jax.random.key(1))
    np.testing.assert_array_equal(shown.step_type, real.step_type)
    assert (real.step_type == 2).sum() > 5
    memory = transform.first_memory(())
    for now in range(40):
        memory, expected = transform.remember((), memory, jax.tree.map(lambda leaf, now=now: leaf[now], real))
        np.testing.assert_allclose(shown.reward[now], expected.reward, rtol=1e-5, atol=1e-6)
    assert environment.expected_rewards(task, environment.reset(jax.random.key(0), task)[0]) is None


def test_failures_must_exist():
    with pytest.raises(InputError, match=r"failure_reward=false"):
        wrap(Bandit(5), FailureReward)


def test_transformed_environments_jit_and_vmap():
    environment = wrap(wrap(wrap(Line(), FlippedObservationSigns), PermutedObservations), PermutedActions)

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
