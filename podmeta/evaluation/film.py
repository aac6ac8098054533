"""Videos of a θ in the grid-worlds that it is meta-tested in, for `logging.tensorboard_videos`."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from podmeta.config.periodic_tests import periodic_suite
from podmeta.config.schema import JobConfig
from podmeta.config.suites import Suite, row_setting
from podmeta.config.titles import environment_title
from podmeta.evaluation.baselines.contenders import fits
from podmeta.evaluation.recorded_lifetime import animate, is_drawn, make_recorder
from podmeta.evaluation.run import learner_in, one_instance
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.training.loop import Film
from podmeta.training.tags import tag_in_setting

_NUM_FRAMES = 150


def make_film(job: JobConfig, suite: Suite) -> Film | None:
    """Films the end of one lifetime of the first instance in each grid-world of a suite that θ fits.

    The lifetime is the same each time, that of `evaluation.seed`, so that the videos of several θ compare.

    Returns:
      The film; None if the job asks for none, or the suite has no grid-world.
    """
    drawn = [setting for setting in suite.settings if is_drawn(setting.environment)]
    if not job.logging.tensorboard_videos or not drawn:
        return None
    learner = learner_in(suite, job.learner)
    recorders = [make_recorder(learner, setting.environment) for setting in drawn]

    def film(meta_params: MetaParams) -> Mapping[str, bytes]:
        shapes, own = one_instance(meta_params), jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), meta_params)
        videos = {}
        for setting, record in zip(drawn, recorders, strict=True):
            environment = setting.environment
            if fits(shapes, learner, environment):
                end = environment.lifetime_length
                lifetime = record(own, make_key(job.evaluation.seed))
                title = environment_title(environment)
                tag = tag_in_setting(suite.name, title, row_setting(setting, None), "video")
                videos[tag] = animate(environment, lifetime, range(max(0, end - _NUM_FRAMES), end))
        return videos

    return film


def make_periodic_film(job: JobConfig) -> Film | None:
    """The film of the meta-tests during training; None if the job asks for none."""
    return make_film(job, periodic_suite(job)) if job.evaluation.every_updates else None
