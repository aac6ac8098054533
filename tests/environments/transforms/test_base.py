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
    "orthonormal projection": functools.partial(observations.ProjectedObservations, kind="orthonormal"),
    "gaussian projection": functools.partial(observations.ProjectedObservations, kind="gaussian"),
    "duplicated": functools.partial(observations.DuplicatedObservations, copies=3),
    "permuted actions": actions.PermutedActions,
    "discretised actions": functools.partial(actions.DiscretisedActions, number=3),
    "flipped action signs": actions.FlippedActionSigns,
    "rescaled rewards": functools.partial(rewards.RescaledRewards, scale=[0.1, 10], offset=[-1, 1], flips_sign=True),
    "delayed rewards": functools.partial(rewards.DelayedRewards, delay=2),
    "accumulated rewards": functools.partial(rewards.AccumulatedRewards, period=3),
    "failure reward": rewards.FailureReward,
    "padded": functools.partial(padding.Padded, observation_size=8, num_actions=6),
    "padded in actions": functools.partial(padding.Padded, observation_size=0, num_actions=6),
}
DRAWING = ["permuted observations", "flipped signs", "permuted actions", "flipped action signs"]
BOXES = ["flipped action signs", "discretised actions"]


def draws_of(transform, seed, number=BATCH):
    return np.stack(
        [np.asarray(transform.draw(GeneratorRandom(seed + row, transform.stream))) for row in range(number)]
    )


def test_every_transform_is_here():
    made = {make.func if isinstance(make, functools.partial) else make for make in TRANSFORMS.values()}
    assert made == {each for each in Transform.__subclasses__() if each.__module__.startswith("podmeta.")}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "continuous"), [(name, box) for name in TRANSFORMS for box in (False, True) if box or name not in BOXES]
)
def test_jax_does_to_each_row_what_numpy_does_to_the_batch(name, continuous, specs_with, timestep_of, action_of):
    inside = specs_with(continuous=continuous)
    transform = TRANSFORMS[name](inside)
    drawn, timestep = draws_of(transform, 0), timestep_of(inside, 0)
    action = action_of(transform.outside.action, 0)
    expected_inside = np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)

    calls = (
        (transform.inner_action, (drawn, action)),
        (transform.remember, (drawn, transform.first_memory((BATCH,)), timestep)),
        (transform.expected_rewards, (drawn, expected_inside)),
    )
    for function, arguments in calls:
        batch = function(*arguments)
        in_rows = jax.jit(jax.vmap(function))(*jax.tree.map(jnp.asarray, arguments))
        for values, wanted in zip(jax.tree.leaves(batch), jax.tree.leaves(in_rows), strict=True):
            assert isinstance(values, np.ndarray) and values.dtype == wanted.dtype
            np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**31 - 1), shape=st.sampled_from([(6,), (2, 3), (1, 3, 2)]))
def test_what_is_shown_and_taken_keeps_the_specs(name, seed, shape, specs_with, timestep_of, action_of):
    inside = specs_with(shape, continuous=name in BOXES)
    transform = TRANSFORMS[name](inside)
    drawn, timestep = draws_of(transform, seed), timestep_of(inside, seed)
    memory = transform.first_memory((BATCH,))
    kept = jax.tree.map(np.copy, timestep)
    _, outer = transform.remember(drawn, memory, timestep)
    assert outer.reward.dtype == np.float32
    for observation in outer.observation:
        transform.outside.observation.validate(observation)
    for action in transform.inner_action(drawn, action_of(transform.outside.action, seed)):
        inside.action.validate(action)
    jax.tree.map(np.testing.assert_array_equal, timestep, kept)  # its arrays are not written to


@pytest.mark.parametrize("source", ["key", "generator"])
@pytest.mark.parametrize("name", DRAWING)
def test_draws_cover_all_that_there_are_equally(name, source, specs_with):
    transform, number = TRANSFORMS[name](specs_with((3,), 3, continuous=name in BOXES)), 2400
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
    drawing = [*(TRANSFORMS[name] for name in DRAWING), observations.ProjectedObservations, rewards.RescaledRewards]
    assert len({transform.stream for transform in drawing}) == len(drawing)


def test_single_time_steps_have_no_batch_axis(specs_with, timestep_of):
    inside = specs_with((2, 3))
    timestep = timestep_of(inside, 0)
    one = dm_env.TimeStep(*(np.asarray(array[2]) for array in timestep))
    for name in TRANSFORMS.keys() - BOXES:
        transform = TRANSFORMS[name](inside)
        drawn = draws_of(transform, 0)
        alone = transform.remember(drawn[2], transform.first_memory(()), one)
        together = transform.remember(drawn, transform.first_memory((BATCH,)), timestep)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[2], rtol=1e-5, atol=1e-6), alone, together)
