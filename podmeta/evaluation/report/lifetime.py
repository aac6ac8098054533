"""One lifetime of a run's θ, to be looked at."""

import io
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from PIL import Image

from podmeta.config.resolve import evaluation_settings
from podmeta.config.schema import EnvironmentConfig, GridWorldConfig, HostEnvironmentConfig
from podmeta.environments.jax.grid_world import GridWorld
from podmeta.environments.jax.rendering import render_pixels
from podmeta.environments.jax.transformed import TransformedState, TransformedTask
from podmeta.errors import InputError
from podmeta.evaluation.report.record import RunRecord
from podmeta.inner_loop import LifetimeState, build_inner_loop
from podmeta.keys import make_key
from podmeta.storage.json_files import Warn
from podmeta.training.meta_params import restore_meta_params

_NUM_FRAMES = 150
_MILLISECONDS_PER_FRAME = 120


class SeenLifetime(NamedTuple):
    """A lifetime as it can be drawn.

    Attributes:
      environment: the config of the environment.
      actions: [lifetime_length, num_actions] the actions as the learner sees them: one-hot, or the components.
      rewards: [lifetime_length] what was earned.
      episode_ends: [lifetime_length] 1 where an episode ended.
      animation: a GIF of its first part, where the environment is a grid-world; else None.
    """

    environment: EnvironmentConfig
    actions: Float[np.ndarray, "lifetime_length num_actions"]
    rewards: Float[np.ndarray, "lifetime_length"]
    episode_ends: Float[np.ndarray, "lifetime_length"]
    animation: bytes | None


def see_lifetime(record: RunRecord, warn: Warn) -> SeenLifetime | None:
    """A lifetime of the run's first instance, in the first environment that it was to be meta-tested in.

    None for a host environment, or, with a warning, if somebody else's config names a file to open.

    Raises:
      InputError: the run has no checkpoint.
      PodmetaError: all its checkpoints are broken.
    """
    setting = evaluation_settings(record.job)[0]
    environment_config = setting.environment
    if isinstance(environment_config, HostEnvironmentConfig):
        return None
    try:
        record.run.check([setting])
    except InputError as error:
        warn(f"its lifetime is not drawn: {error}")
        return None
    restored = restore_meta_params(record.run.run_path, warn)
    meta_params = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), restored.meta_params)
    inner_loop = build_inner_loop(record.job.learner, environment_config)

    @jax.jit
    def rollout(key: jax.Array) -> tuple[Any, ...]:
        def step(lifetime: LifetimeState, _: None) -> tuple[LifetimeState, tuple[Any, ...]]:
            after, experience = inner_loop.unroll(meta_params, lifetime, 1)
            action = inner_loop.policy.encode(experience.action[0])
            return after, (lifetime.environment_state, action, experience.reward[0], experience.episode_end[0])

        start = inner_loop.reset(meta_params, key)
        return start.task, jax.lax.scan(step, start, length=inner_loop.lifetime_length)[1]

    task, (states, actions, rewards, ends) = jax.tree.map(np.asarray, rollout(make_key(record.job.evaluation.seed)))
    animation = None
    if isinstance(environment_config, GridWorldConfig):
        animation = _animate(environment_config, task, states)
    return SeenLifetime(environment_config, actions, rewards, ends.astype(np.float32), animation)


def _animate(config: GridWorldConfig, task: Any, states: Any) -> bytes:
    grid_world = GridWorld(config)
    while isinstance(task, TransformedTask):
        task = task.inner
    while isinstance(states, TransformedState):
        states = states.inner
    frames = []
    for step in range(min(_NUM_FRAMES, config.lifetime_length)):
        state = jax.tree.map(lambda leaf, step=step: leaf[step], states)
        frames.append(Image.fromarray(render_pixels(grid_world.glyphs(task, state))))
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=_MILLISECONDS_PER_FRAME, loop=0)
    return content.getvalue()
