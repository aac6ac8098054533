"""Every transform is one function: of NumPy's arrays and of JAX's, of batches and of single time steps."""

import functools

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podmeta.environments.host.transformed import GeneratorRandom
from podmeta.environments.jax.transformed import KeyRandom
from podmeta.environments.transforms import actions, observations, padding, rewards
from podmeta.environments.transforms.base import Transform

BATCH = 5
TRANSFORMS = {
    "permuted observations": observations.PermutedObservations,
    "flipped signs": observations.FlippedObservationSigns,
    "scaled": functools.partial(observations.ScaledObservations, factors=[1.0, -2.0, 0.0, 3.0, 0.5, 1e3]),
    "duplicated": functools.partial(observations.DuplicatedObservations, copies=3),
    "permuted actions": actions.PermutedActions,
    "failure reward": rewards.FailureReward,
    "padded": functools.partial(padding.Padded, observation_size=8, num_actions=6),
    "padded in actions": functools.partial(padding.Padded, observation_size=0, num_actions=6),
}
DRAWING = ["permuted observations", "flipped signs", "permuted actions"]


def draws_of(transform, seed, number=BATCH):
    return np.stack(
        [np.asarray(transform.draw(GeneratorRandom(seed + row, transform.stream))) for row in range(number)]
    )


def test_every_transform_is_here():
    made = {make.func if isinstance(make, functools.partial) else make for make in TRANSFORMS.values()}
    assert made == set(Transform.__subclasses__())


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_jax_does_to_each_row_what_numpy_does_to_the_batch(name, continuous, specs_with, timestep_of, action_of):
    inside = specs_with(continuous=continuous)
    transform = TRANSFORMS[name](inside)
    drawn, timestep = draws_of(transform, 0), timestep_of(inside, 0)
    action = action_of(transform.outside.action, 0)
    expected_inside = np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)

    functions = (
        (transform.inner_action, action),
        (transform.outer_timestep, timestep),
        (transform.expected_rewards, expected_inside),
    )
    for function, argument in functions:
        batch = function(drawn, argument)
        in_rows = jax.jit(jax.vmap(function))(jnp.asarray(drawn), jax.tree.map(jnp.asarray, argument))
        for values, wanted in zip(jax.tree.leaves(batch), jax.tree.leaves(in_rows), strict=True):
            assert isinstance(values, np.ndarray) and values.dtype == wanted.dtype
            np.testing.assert_allclose(values, wanted, rtol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**31 - 1), shape=st.sampled_from([(6,), (2, 3), (1, 3, 2)]))
def test_what_is_shown_and_taken_keeps_the_specs(name, seed, shape, specs_with, timestep_of, action_of):
    inside = specs_with(shape)
    transform = TRANSFORMS[name](inside)
    drawn, timestep = draws_of(transform, seed), timestep_of(inside, seed)
    kept = jax.tree.map(np.copy, timestep)
    for observation in transform.outer_timestep(drawn, timestep).observation:
        transform.outside.observation.validate(observation)
    for action in transform.inner_action(drawn, action_of(transform.outside.action, seed)):
        inside.action.validate(action)
    jax.tree.map(np.testing.assert_array_equal, timestep, kept)  # its arrays are not written to


@pytest.mark.parametrize("source", ["key", "generator"])
@pytest.mark.parametrize("name", DRAWING)
def test_draws_cover_all_that_there_are_equally(name, source, specs_with):
    transform, number = TRANSFORMS[name](specs_with((3,), num_actions=3)), 2400
    if source == "key":
        keys = jax.random.split(jax.random.key(0), number)
        drawn = np.asarray(jax.vmap(lambda key: transform.draw(KeyRandom(key)))(keys))
    else:
        drawn = draws_of(transform, 0, number)
    draws, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(draws) == transform.num_draws
    expected = number / len(draws)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_transforms_of_one_seed_draw_apart():
    streams = {TRANSFORMS[name].stream for name in DRAWING}
    assert len(streams) == len(DRAWING)


def test_single_time_steps_have_no_batch_axis(specs_with, timestep_of):
    inside = specs_with((2, 3))
    timestep = timestep_of(inside, 0)
    one = dm_env.TimeStep(*(np.asarray(array[2]) for array in timestep))
    for make in TRANSFORMS.values():
        transform = make(inside)
        drawn = draws_of(transform, 0)
        alone, together = transform.outer_timestep(drawn[2], one), transform.outer_timestep(drawn, timestep)
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[2]), alone, together)
