"""One lifetime of a θ, env step by env step, and the picture of it in a grid-world."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray, PyTree
from PIL import Image

from podmeta.config.schema import EnvironmentConfig, GridWorldConfig, LearnerConfig, ObjectGridWorldConfig
from podmeta.environments.jax.grid_world import GridWorld
from podmeta.environments.jax.object_grid_world import ObjectGridWorld
from podmeta.environments.jax.rendering import render_pixels
from podmeta.environments.jax.transformed import TransformedState, TransformedTask
from podmeta.inner_loop import LifetimeState, build_inner_loop
from podmeta.learners.base import MetaParams

_MILLISECONDS_PER_FRAME = 120


class RecordedLifetime(NamedTuple):
    """A lifetime, with all that is needed to draw it.

    Attributes:
      task: the environment's task.
      states: [lifetime_length, ...] the environment's state before each env step.
      actions: [lifetime_length, num_actions] the actions as the learner sees them: one-hot, or the components.
      rewards: [lifetime_length] what was earned.
      episode_ends: [lifetime_length] 1 where an episode ended.
    """

    task: PyTree
    states: PyTree
    actions: Float[np.ndarray, "lifetime_length num_actions"]
    rewards: Float[np.ndarray, "lifetime_length"]
    episode_ends: Float[np.ndarray, "lifetime_length"]


Recorder = Callable[[MetaParams, PRNGKeyArray], RecordedLifetime]
"""Records a lifetime, of a θ and the key of the lifetime."""


def make_recorder(learner: LearnerConfig, environment: EnvironmentConfig) -> Recorder:
    """Records lifetimes in a JAX environment. The program is compiled when it is first called."""
    inner_loop = build_inner_loop(learner, environment)

    def step(meta_params: MetaParams, lifetime: LifetimeState) -> tuple[LifetimeState, tuple[Any, ...]]:
        after, experience = inner_loop.unroll(meta_params, lifetime, 1)
        action = inner_loop.policy.encode(experience.action[0])
        return after, (lifetime.environment_state, action, experience.reward[0], experience.episode_end[0])

    @jax.jit
    def rollout(meta_params: MetaParams, key: PRNGKeyArray) -> tuple[Any, ...]:
        start = inner_loop.reset(meta_params, key)
        steps = jax.lax.scan(lambda state, _: step(meta_params, state), start, length=inner_loop.lifetime_length)[1]
        return start.task, *steps

    def record(meta_params: MetaParams, key: PRNGKeyArray) -> RecordedLifetime:
        task, states, actions, rewards, ends = jax.tree.map(np.asarray, rollout(meta_params, key))
        return RecordedLifetime(task, states, actions, rewards, ends.astype(np.float32))

    return record


def is_drawn(environment: EnvironmentConfig) -> bool:
    """Whether an environment is a grid-world, of which there are pictures."""
    return isinstance(environment, GridWorldConfig | ObjectGridWorldConfig)


def animate(environment: EnvironmentConfig, lifetime: RecordedLifetime, steps: range) -> bytes:
    """The grid-world before each of these env steps, as an animated GIF."""
    if isinstance(environment, ObjectGridWorldConfig):
        grid_world: Any = ObjectGridWorld(environment.mode, environment.positions)
    else:
        assert isinstance(environment, GridWorldConfig)
        grid_world = GridWorld(environment)
    task, states = lifetime.task, lifetime.states
    while isinstance(task, TransformedTask):
        task = task.inner
    while isinstance(states, TransformedState):
        states = states.inner
    frames = []
    for step in steps:
        state = jax.tree.map(lambda leaf, step=step: leaf[step], states)
        frames.append(Image.fromarray(render_pixels(grid_world.glyphs(task, state))))
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=_MILLISECONDS_PER_FRAME, loop=0)
    return content.getvalue()
