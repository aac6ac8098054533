"""Transforms of observations, as properties."""

import jax
import numpy as np
import pytest
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.host.transformed import GeneratorRandom
from podmeta.environments.jax.transformed import KeyRandom
from podmeta.environments.transforms.observations import (
    DuplicatedObservations,
    FlippedObservationSigns,
    PermutedObservations,
    ProjectedObservations,
    ScaledObservations,
)
from podmeta.errors import InputError

seeds = st.integers(0, 2**31 - 1)
shapes = st.sampled_from([(1,), (6,), (2, 3), (2, 2, 2)])


def draws_of(transform, seed, number=5):
    return np.stack([transform.draw(GeneratorRandom(seed + row, transform.stream)) for row in range(number)])


def assert_same_but_observation(outer, inner):
    for name in ("step_type", "reward", "discount"):
        np.testing.assert_array_equal(getattr(outer, name), getattr(inner, name))


@given(shape=shapes, seed=seeds)
def test_unpermuted_observations_are_those_inside(shape, seed, specs_with, timestep_of):
    inside = specs_with(shape)
    transform, timestep = PermutedObservations(inside), timestep_of(inside, seed)
    drawn = draws_of(transform, seed)
    outer = transform.outer_timestep(drawn, timestep)
    for row, order in enumerate(drawn):
        np.testing.assert_array_equal(np.sort(order), np.arange(np.prod(shape)))
        np.testing.assert_array_equal(outer.observation[row].ravel(), timestep.observation[row].ravel()[order])
    assert_same_but_observation(outer, timestep)


@given(shape=shapes, seed=seeds)
def test_flipped_observations_are_those_inside_up_to_their_signs(shape, seed, specs_with, timestep_of):
    inside = specs_with(shape)
    transform, timestep = FlippedObservationSigns(inside), timestep_of(inside, seed)
    drawn = draws_of(transform, seed)
    assert set(np.unique(drawn)) <= {-1.0, 1.0}
    outer = transform.outer_timestep(drawn, timestep)
    np.testing.assert_array_equal(outer.observation, timestep.observation * drawn.reshape(-1, *shape))
    assert_same_but_observation(outer, timestep)


@given(shape=shapes, seed=seeds, data=st.data())
def test_scaled_observations_follow_their_factors(shape, seed, data, specs_with, timestep_of):
    inside, size = specs_with(shape), int(np.prod(shape))
    number = data.draw(st.sampled_from([1, size]))
    factors = data.draw(st.lists(st.floats(-100, 100, width=32), min_size=number, max_size=number))
    transform, timestep = ScaledObservations(inside, factors), timestep_of(inside, seed)
    outer = transform.outer_timestep((), timestep)
    expected = timestep.observation * np.broadcast_to(np.float32(factors), size).reshape(shape)
    np.testing.assert_allclose(outer.observation, expected, rtol=1e-6)
    for observation in outer.observation:
        transform.outside.observation.validate(observation)
    assert_same_but_observation(outer, timestep)


@given(shape=shapes, seed=seeds)
def test_an_orthonormal_projection_keeps_lengths_and_angles(shape, seed, specs_with, timestep_of):
    inside = specs_with(shape)
    transform, timestep = ProjectedObservations(inside, "orthonormal"), timestep_of(inside, seed)
    (matrix,) = draws_of(transform, seed, 1)
    outer = transform.outer_timestep(np.tile(matrix, (5, 1, 1)), timestep)
    shown, real = outer.observation.reshape(5, -1), timestep.observation.reshape(5, -1)
    np.testing.assert_allclose(shown @ shown.T, real @ real.T, rtol=1e-4, atol=1e-4)
    assert_same_but_observation(outer, timestep)


@pytest.mark.parametrize("source", ["key", "generator"])
@pytest.mark.parametrize("kind", ["orthonormal", "gaussian"])
def test_projections_favour_no_direction(kind, source, specs_with):
    transform, number = ProjectedObservations(specs_with((3,)), kind), 3000
    if source == "key":
        draw = jax.jit(jax.vmap(lambda key: transform.draw(KeyRandom(key))))
        matrices = np.asarray(draw(jax.random.split(jax.random.key(0), number)))
    else:
        matrices = draws_of(transform, 0, number)
    error = 5 / np.sqrt(number)
    np.testing.assert_allclose(matrices.mean(axis=0), 0, atol=error)
    np.testing.assert_allclose((matrices**2).mean(axis=0), 1 / 3, atol=error)
    assert transform.num_draws == np.inf


def test_a_projection_of_a_picture_is_refused(specs_with):
    with pytest.raises(InputError, match=r"7,056 components.*at most 1,024.*project_observations=none"):
        ProjectedObservations(specs_with((84, 84)), "gaussian")


@given(shape=shapes, seed=seeds, copies=st.integers(1, 3))
def test_every_copy_of_an_observation_is_the_one_inside(shape, seed, copies, specs_with, timestep_of):
    inside = specs_with(shape)
    timestep = timestep_of(inside, seed)
    outer = DuplicatedObservations(inside, copies).outer_timestep((), timestep)
    for row, observation in enumerate(outer.observation):
        for copy in observation.reshape(copies, -1):
            np.testing.assert_array_equal(copy, timestep.observation[row].ravel())
    assert_same_but_observation(outer, timestep)


def test_scaled_bounds_may_overflow_but_are_never_nan(specs_with):
    largest = np.finfo(np.float32).max
    unbounded = specs.BoundedArray((3,), np.float32, minimum=-largest, maximum=[np.inf, largest, largest])
    inside = specs_with()._replace(observation=unbounded)
    spec = ScaledObservations(inside, [0.0, -2.0, 1.0]).outside.observation
    np.testing.assert_array_equal(spec.minimum, np.float32([0.0, -np.inf, -largest]))
    np.testing.assert_array_equal(spec.maximum, np.float32([0.0, np.inf, largest]))


def test_bytes_stay_bytes_where_they_are_moved_and_become_numbers_where_they_are_multiplied(specs_with, timestep_of):
    inside = specs_with((2, 3), dtype=np.uint8)
    timestep = timestep_of(inside, 0)
    moved = PermutedObservations(inside)
    assert moved.outside.observation.dtype == np.uint8
    assert moved.outer_timestep(draws_of(moved, 0), timestep).observation.dtype == np.uint8
    scaled = ScaledObservations(inside, [1 / 255])
    spec = FlippedObservationSigns(scaled.outside).outside.observation
    assert spec.dtype == np.float32 and (spec.minimum == -1).all() and (spec.maximum == 1).all()
    assert scaled.outer_timestep((), timestep).observation.dtype == np.float32


@pytest.mark.parametrize("factors", [[1.0, 2.0], [1.0] * 7, [float("nan")], []])
def test_wrong_scales_are_named_by_key(factors, specs_with):
    with pytest.raises(InputError, match=r"environment\.observation_scale"):
        ScaledObservations(specs_with((2, 3)), factors)
