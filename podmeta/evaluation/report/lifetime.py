"""One lifetime of a run's θ, to be looked at."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from podmeta.config.resolve import evaluation_settings
from podmeta.config.schema import EnvironmentConfig, HostEnvironmentConfig
from podmeta.errors import InputError
from podmeta.evaluation.recorded_lifetime import animate, is_drawn, make_recorder
from podmeta.evaluation.report.record import RunRecord
from podmeta.keys import make_key
from podmeta.storage.json_files import Warn
from podmeta.training.meta_params import restore_meta_params

_NUM_FRAMES = 150


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
      InputError: the run has no checkpoint, or all are broken.
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
    lifetime = make_recorder(record.job.learner, environment_config)(meta_params, make_key(record.job.evaluation.seed))
    animation = None
    if is_drawn(environment_config):
        steps = range(min(_NUM_FRAMES, environment_config.lifetime_length))
        animation = animate(environment_config, lifetime, steps)
    return SeenLifetime(environment_config, lifetime.actions, lifetime.rewards, lifetime.episode_ends, animation)
