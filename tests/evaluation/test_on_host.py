"""Rollouts for a meta-test in environments of the host."""

import jax
import numpy as np
import pytest

from podmeta.config.schema import FactoryConfig, RecurrentConfig
from podmeta.evaluation.on_host import make_host_rollout
from podmeta.inner_loop import build_inner_loop

NUM_TASKS, EPISODE_LENGTH = 3, 3


@pytest.mark.long
@pytest.mark.parametrize("lifetime_length", [1, 10])
def test_lifetimes_of_a_factory_show_what_its_environment_paid(lifetime_length):
    """The script pays 1, 2 and 3, ends its episode, and takes one env step to begin the next."""
    environment = FactoryConfig(
        factory="tests.environments.host.factories:Script",
        options={"length": EPISODE_LENGTH},
        lifetime_length=lifetime_length,
    )
    inner_loop = build_inner_loop(RecurrentConfig(hidden_size=2), environment)
    meta_params = inner_loop.init(jax.random.key(0))
    lifetimes = make_host_rollout(environment, inner_loop)(meta_params, jax.random.split(jax.random.key(1), NUM_TASKS))
    steps = np.arange(1, lifetime_length + 1) % (EPISODE_LENGTH + 1)
    np.testing.assert_array_equal(lifetimes.rewards, np.tile(steps, (NUM_TASKS, 1)))
    np.testing.assert_array_equal(lifetimes.episode_ends, np.tile(steps == EPISODE_LENGTH, (NUM_TASKS, 1)))
