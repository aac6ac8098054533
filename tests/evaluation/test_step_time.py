"""How long a learner takes for a step, as a suite tells it."""

import jax

from podmeta.config.schema import BanditConfig, SymmetricConfig
from podmeta.evaluation.step_time import NUM_TIMINGS, microseconds_per_step
from podmeta.inner_loop import build_inner_loop


def test_a_larger_environment_takes_longer():
    learner = SymmetricConfig(hidden_size=8, message_size=4)
    meta_params = build_inner_loop(learner, BanditConfig()).init(jax.random.key(0))
    few, many = (microseconds_per_step(meta_params, learner, BanditConfig(num_arms=number)) for number in (2, 5000))
    assert 0 < few.low <= few.mean <= few.high
    assert few.num_tasks == NUM_TIMINGS
    assert many.mean > few.mean
