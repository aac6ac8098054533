"""Lifetimes that follow a script, whatever the learner says: for tests of learners."""

import functools
from typing import Any

import jax
import numpy as np

from podmeta.learners.base import LearnerInput

NUM_STEPS = 6


def draw(shapes, seed=0):
    """Numbers for every leaf, none of them zero, so that a forgotten bias shows."""
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: (0.5 * generator.normal(size=leaf.shape)).astype(np.float32), shapes)


def draw_meta_params(learner):
    """θ, at little cost: drawing it as haiku does compiles a program per matrix."""
    return draw(jax.eval_shape(learner.init, jax.random.key(0)))


def draw_state(learner):
    """A learner state in the middle of a lifetime."""
    return draw(jax.eval_shape(learner.initial_state, None, jax.random.key(0)), seed=1)


def draw_script(observation_size, num_actions):
    """The inputs of a lifetime, [NUM_STEPS, ...]."""
    generator = np.random.default_rng(2)
    return LearnerInput(
        observation=generator.normal(size=(NUM_STEPS, observation_size)).astype(np.float32),
        previous_action=generator.normal(size=(NUM_STEPS, num_actions)).astype(np.float32),
        reward=generator.normal(size=NUM_STEPS).astype(np.float32),
        episode_start=generator.integers(0, 2, NUM_STEPS).astype(np.float32),
    )


def rollout(step, meta_params, state, script):
    """The outputs [NUM_STEPS, ...] of a scripted lifetime, and the learner state at its end."""

    def scanned(carry, learner_input):
        output, carry = step(meta_params, carry, learner_input)
        return carry, output

    state, outputs = jax.lax.scan(scanned, state, script)
    return outputs, state


def compiled_rollout(step):
    """(θ, learner state, script) -> what `rollout` gives, in NumPy."""
    program = jax.jit(functools.partial(rollout, step))
    return lambda *arguments: jax.tree.map(np.asarray, program(*arguments))


def assert_close(actual: Any, expected: Any, atol: float = 1e-5) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4), actual, expected)


def draw_lifetime(observation_size, num_actions, num_steps, continuous=False, centred=True, seed=3):
    """The inputs [num_steps, ...] of a lifetime from its first time step on, as an environment would give them."""
    generator = np.random.default_rng(seed)
    starts = generator.random(num_steps) < 0.2
    starts[0] = True
    actions = np.eye(num_actions)[generator.integers(0, num_actions, num_steps)]
    if continuous:
        actions = generator.uniform(-1, 1, (num_steps, num_actions))
    rewards = np.where(starts, 0.0, generator.choice([-1.0, 0.0, 1.0], num_steps))
    return LearnerInput(
        observation=generator.normal(size=(num_steps, observation_size)).astype(np.float32),
        previous_action=np.where(starts[:, None], 0.0, actions).astype(np.float32),
        reward=rewards.astype(np.float32),
        episode_start=starts.astype(np.float32),
        centred_reward=np.clip(rewards - 0.2, -1, 1).astype(np.float32) if centred else None,
    )
