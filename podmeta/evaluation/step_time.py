"""The time of a learner alone for one env step of one lifetime."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from podmeta.config.schema import EnvironmentConfig, LearnerConfig
from podmeta.evaluation.statistics import Interval, mean_interval
from podmeta.inner_loop import build_inner_loop, environment_specs
from podmeta.keys import make_key
from podmeta.learners.base import LearnerInput, MetaParams

NUM_TIMINGS = 20
STEPS_PER_TIMING = 20


def microseconds_per_step(
    meta_params: MetaParams, learner_config: LearnerConfig, environment_config: EnvironmentConfig
) -> Interval:
    """Times the learner's compiled step for the sizes of an environment, which itself is left out.

    The interval is over timings, whose number stands in the place of that of tasks.
    """
    inner_loop = build_inner_loop(learner_config, environment_config)
    observation_spec, _ = environment_specs(environment_config)
    observation = jnp.zeros(observation_spec.shape, observation_spec.dtype)
    nothing = jnp.zeros(())
    learner_input = LearnerInput(observation, jnp.zeros(inner_loop.policy.num_actions), nothing, nothing)
    step = jax.jit(inner_loop.step)
    _, state = step(meta_params, inner_loop.initial_state(meta_params, make_key(0)), learner_input)
    timings = []
    for _ in range(NUM_TIMINGS):
        start = time.perf_counter()
        for _ in range(STEPS_PER_TIMING):
            _, state = step(meta_params, state, learner_input)
        jax.block_until_ready(state)
        timings.append((time.perf_counter() - start) / STEPS_PER_TIMING * 1e6)
    return mean_interval(np.array(timings))
