"""Lifetimes of families of tasks, lived by their teachers and at random."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from podmeta.environments.base import is_last, step_or_reset


class Lived(NamedTuple):
    """Lifetimes, [num_lifetimes, num_steps, ...] in NumPy."""

    task: Any
    state: Any  # before each step
    observation: np.ndarray
    reward: np.ndarray
    last: np.ndarray  # whether the step ended an episode
    terminated: np.ndarray
    advantages: np.ndarray  # before each step, [..., num_actions]

    def by_reward(self, kind):
        """The lifetimes of one kind of reward."""
        chosen = self.task.reward == kind
        return jax.tree.map(lambda leaf: leaf[chosen], self)


def live(environment, num_lifetimes, num_steps, follows_teacher, seed=0):
    """Lifetimes in which a policy follows the teacher, or acts at random."""
    num_actions = environment.action_spec().num_values

    def lifetime(key):
        task_key, reset_key, play_key = jax.random.split(key, 3)
        task = environment.sample_task(task_key)

        def env_step(before, step_key):
            action_key, environment_key = jax.random.split(step_key)
            advantages = environment.expected_advantages(task, before[0])
            best = jnp.argmax(advantages).astype(jnp.int32)
            action = best if follows_teacher else jax.random.randint(action_key, (), 0, num_actions)
            state, timestep = step_or_reset(environment, environment_key, task, *before, action)
            terminated = is_last(timestep) & (timestep.discount == 0)
            lived = (before[0], timestep.observation, timestep.reward, is_last(timestep), terminated, advantages)
            return (state, timestep), lived

        start = environment.reset(reset_key, task)
        return Lived(task, *jax.lax.scan(env_step, start, jax.random.split(play_key, num_steps))[1])

    keys = jax.random.split(jax.random.key(seed), num_lifetimes)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(lifetime))(keys))


def assert_teacher_beats_random(teacher, random, names):
    """For every kind of reward: on most tasks, and by the mean over tasks, five standard errors above."""
    for kind, name in enumerate(names):
        gain = teacher.by_reward(kind).reward.mean(1) - random.by_reward(kind).reward.mean(1)
        assert gain.size > 10, name
        assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(gain.size), name
        assert np.mean(gain < 0) < 0.15, name


def assert_on_one_scale(lived):
    """The best action has 0, none has more, and the mean over actions is about -1."""
    np.testing.assert_array_equal(lived.advantages.max(axis=-1), 0)
    means = lived.advantages.mean(axis=-1)
    assert means.min() > -1.01
    assert np.median(means) < -0.9
