"""Meta-tests during training: of θ alone, without baselines, with programs that are compiled once."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from podmeta.config.periodic_tests import periodic_suite
from podmeta.config.schema import EnvironmentConfig
from podmeta.config.schema.job import JobConfig
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.kinds import with_known_settings
from podmeta.evaluation.baselines.contenders import check_fit, fits, trace_lifetime
from podmeta.evaluation.on_host import make_host_rollout
from podmeta.evaluation.rollouts import Rollout, make_rollout
from podmeta.evaluation.run import learner_in
from podmeta.inner_loop import InnerLoop, build_inner_loop
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.training.best import MEAN_REWARD
from podmeta.training.build import meta_params_shapes


@dataclasses.dataclass(frozen=True)
class PeriodicTest:
    """The meta-tests of a job during training. The tasks are the same each time, so that their results compare.

    Attributes:
      rollouts: of every setting.
      num_tasks: lifetimes per setting.
      seed: of the tasks.
    """

    rollouts: tuple[Rollout, ...]
    num_tasks: int
    seed: int

    def __call__(self, meta_params: MetaParams) -> Mapping[str, float | list[float]]:
        """Tests θ, [num_instances, ...].

        Returns:
          `MEAN_REWARD` and, of several settings, `test_reward_setting_0`, …: a number, or a list by instance.
        """
        keys = jax.random.split(make_key(self.seed), self.num_tasks)
        num_instances = len(jax.tree.leaves(meta_params)[0])
        rewards = np.zeros((len(self.rollouts), num_instances))
        for instance in range(num_instances):
            own = jax.tree.map(lambda leaf, instance=instance: jnp.asarray(leaf[instance]), meta_params)
            for number, rollout in enumerate(self.rollouts):
                rewards[number, instance] = rollout(own, keys).rewards.mean()
        values = {MEAN_REWARD: rewards.mean(axis=0)}
        if len(self.rollouts) > 1:
            values |= {f"test_reward_setting_{number}": of_setting for number, of_setting in enumerate(rewards)}
        return {name: float(value[0]) if num_instances == 1 else value.tolist() for name, value in values.items()}


def make_periodic_test(job: JobConfig) -> PeriodicTest | None:
    """The meta-tests that `evaluation.every_updates` asks for; None if it asks for none.

    Settings of a suite that θ does not fit are left out. Every other setting is traced, so that none fails in the
    middle of training.

    Raises:
      InputError: there is no such suite, θ does not fit it, or a setting cannot be tested.
    """
    config = job.evaluation
    if config.every_updates == 0:
        return None
    suite = with_known_settings(periodic_suite(job))
    learner = learner_in(suite, job.learner)
    meta_params = meta_params_shapes(job)
    environments = [setting.environment for setting in suite.settings]
    fitting = [environment for environment in environments if fits(meta_params, learner, environment)]
    if not fitting:
        check_fit(meta_params, learner, environments[0])
    inner_loops = [build_inner_loop(learner, environment) for environment in fitting]
    for inner_loop, environment in zip(inner_loops, fitting, strict=True):
        trace_lifetime(meta_params, inner_loop, environment)
    rollouts = tuple(map(_rollout, inner_loops, fitting))
    return PeriodicTest(rollouts, config.periodic_tasks, config.seed)


def _rollout(inner_loop: InnerLoop, environment: EnvironmentConfig) -> Rollout:
    return make_host_rollout(environment, inner_loop) if lives_on_host(environment) else make_rollout(inner_loop)
