"""Observations scaled by what the lifetime has shown of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from podmeta.config.schema import RecurrentConfig, SymmetricConfig
from podmeta.learners.base import LearnerInput
from podmeta.learners.registry import make_learner

SHAPE, NUM_STEPS, NUM_ACTIONS = (3, 1), 6, 2
CONFIGS = {
    "symmetric": SymmetricConfig(hidden_size=4, message_size=2),
    "recurrent": RecurrentConfig(hidden_size=4),
}


def make(name, scale_observations):
    config = CONFIGS[name]
    config = type(config)(**vars(config) | {"scale_observations": scale_observations})
    return make_learner(config, SHAPE, NUM_ACTIONS, 1)


@pytest.fixture(scope="module")
def policies():
    """(learner's name, scaled?, observations [NUM_STEPS, 3, 1]) -> the policies at every step."""

    def compiled(name, scaled):
        learner = make(name, scaled)
        meta_params = make(name, False).init(jax.random.key(0))

        def step(state, observation):
            output, state = learner.step(
                meta_params, state, LearnerInput(observation, jnp.zeros(NUM_ACTIONS), jnp.ones(()), jnp.zeros(()))
            )
            return state, output.policy

        state = learner.initial_state(meta_params, jax.random.key(1))
        return jax.jit(lambda observations: jax.lax.scan(step, state, observations)[1])

    programs = {(name, scaled): compiled(name, scaled) for name in CONFIGS for scaled in (True, False)}
    return lambda name, scaled, observations: np.asarray(programs[name, scaled](observations))


floats = st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 0.01)
observations = st_numpy.arrays(np.float32, (NUM_STEPS, *SHAPE), elements=floats)


@pytest.mark.parametrize("name", CONFIGS)
@given(observations)
def test_it_is_the_learner_inside_on_observations_over_their_largest_so_far(policies, name, observations):
    largest = np.maximum.accumulate(np.abs(observations))
    scaled = observations / np.where(largest > 0, largest, 1)
    np.testing.assert_allclose(policies(name, True, observations), policies(name, False, scaled), atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
@given(observations, st.tuples(*[st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**20])] * 3))
def test_units_do_not_matter(policies, name, observations, factors):
    in_other_units = observations * np.reshape(factors, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(policies(name, True, observations), policies(name, True, in_other_units))


@given(st.lists(st.integers(0, 2), min_size=NUM_STEPS, max_size=NUM_STEPS))
def test_one_hot_observations_stay_as_they_are(policies, contexts):
    one_hot = np.eye(3, dtype=np.float32)[contexts].reshape(NUM_STEPS, *SHAPE)
    np.testing.assert_allclose(policies("symmetric", True, one_hot), policies("symmetric", False, one_hot), atol=1e-5)
