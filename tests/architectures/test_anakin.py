"""Anakin runs the same evolution on any number of devices, and every instance as if it were alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.anakin_session import from_devices, to_devices
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.config.schema import BanditConfig, EvolutionConfig, RecurrentConfig
from podmeta.distributed.devices import map_over_devices
from podmeta.inner_loop import build_inner_loop
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.evolution import Evolution

POPULATION_SIZE, LIFETIMES, LIFETIME_LENGTH, UNROLL_LENGTH = 16, 2, 12, 4
UPDATES_PER_CALL, CALLS = 5, 2
ENTRY = Entry(
    "bandit",
    build_inner_loop(
        RecurrentConfig(cell="gru", hidden_size=2),
        BanditConfig(num_arms=3, lifetime_length=LIFETIME_LENGTH),
    ),
    lifetimes=LIFETIMES,
    weight=1.0,
)


class ObservedEvolution(Evolution):
    """Evolution with the fitness and the noise of every member among its metrics."""

    def update(self, state, draws, summaries, axis_name):
        observed = jax.lax.all_gather({"fitness": summaries, "noise": draws}, axis_name, tiled=True)
        state, metrics = super().update(state, draws, summaries, axis_name)
        return state, metrics | observed


def make_program(num_devices, num_instances, unroll_length, rows_at_once=0):
    """The program, with the fitness and the noise of every member among its metrics."""
    config = EvolutionConfig(population_size=POPULATION_SIZE, unroll_length=unroll_length)
    observed = ObservedEvolution(config, (ENTRY,), UPDATES_PER_CALL * CALLS, first_update=0)
    return Anakin(observed, num_instances, num_devices, rows_at_once)


@functools.cache
def compiled(num_devices, num_instances, unroll_length, rows_at_once=0):
    """Settings -> the host state after all updates, and the metrics [updates, num_instances, ...] of device 0."""
    program = make_program(num_devices, num_instances, unroll_length, rows_at_once)
    run = map_over_devices(lambda state: program.run(state, UPDATES_PER_CALL), DEVICE_AXIS, num_devices)

    def train(settings):
        state, calls = to_devices(compiled_init(num_instances, unroll_length)(settings), num_devices), []
        for _ in range(CALLS):
            state, metrics = compiled_run(state)
            calls.append(jax.tree.map(lambda leaf: np.asarray(leaf)[0], metrics))
        return from_devices(state), jax.tree.map(lambda *parts: np.concatenate(parts), *calls)

    state = to_devices(compiled_init(num_instances, unroll_length)(settings(range(num_instances))), num_devices)
    compiled_run = run.lower(state).compile()
    return train


@functools.cache
def compiled_init(num_instances, unroll_length):
    return jax.jit(make_program(1, num_instances, unroll_length).init)


def settings(seeds, learning_rates=None, noise_stds=None):
    number = len(seeds)
    return InstanceSettings(
        jnp.array(list(seeds), jnp.uint32),
        jnp.array(learning_rates or [0.03] * number),
        jnp.array(noise_stds or [0.5] * number),
    )


@functools.cache
def alone(num_devices, unroll_length, seed=3):
    return compiled(num_devices, 1, unroll_length)(settings([seed]))


def assert_close(actual, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), actual, expected)


@pytest.mark.long
@pytest.mark.parametrize(("num_devices", "unroll_length"), [(2, 0), (4, 0), (4, UNROLL_LENGTH)])
def test_the_number_of_devices_changes_nothing(num_devices, unroll_length):
    state, metrics = alone(num_devices, unroll_length)
    expected_state, expected_metrics = alone(1, unroll_length)
    np.testing.assert_array_equal(metrics["fitness"][0], expected_metrics["fitness"][0])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), metrics["noise"], expected_metrics["noise"])
    assert_close(state.outer.meta_params, expected_state.outer.meta_params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), state.lifetimes, expected_state.lifetimes
    )
    assert np.unique(metrics["fitness"][0]).size > 3


@pytest.mark.long
def test_slots_may_be_rolled_out_one_after_the_other():
    # 8 slots: two times 3, and the 2 that are left.
    state, metrics = compiled(1, 1, UNROLL_LENGTH, rows_at_once=3)(settings([3]))
    expected_state, expected_metrics = alone(1, UNROLL_LENGTH)
    np.testing.assert_array_equal(metrics["fitness"][0], expected_metrics["fitness"][0])
    assert_close(state.outer.meta_params, expected_state.outer.meta_params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), state.lifetimes, expected_state.lifetimes
    )


def test_the_same_seed_twice_is_the_same_to_the_last_bit_and_another_is_not():
    train = compiled(2, 1, 0)
    first, second, other = (train(settings([seed]))[0].outer.meta_params for seed in (3, 3, 4))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    differing = jax.tree.map(lambda a, b: not np.any(a == b), first, other)
    assert all(jax.tree.leaves(differing))


@pytest.mark.long
def test_every_instance_ends_where_it_would_alone():
    seeds, learning_rates, noise_stds = [3, 11, 5], [0.03, 0.01, 0.1], [0.5, 0.2, 1.0]
    together, metrics = compiled(2, 3, 0)(settings(seeds, learning_rates, noise_stds))
    assert metrics["fitness_mean"].shape == (UPDATES_PER_CALL * CALLS, 3)
    np.testing.assert_allclose(metrics["learning_rate"][0], learning_rates, rtol=1e-6)
    for index in range(3):
        own = settings(seeds[index : index + 1], learning_rates[index : index + 1], noise_stds[index : index + 1])
        by_itself, _ = compiled(2, 1, 0)(own)
        instance = jax.tree.map(lambda leaf, i=index: leaf[i : i + 1], together.outer)
        assert_close(instance.meta_params, by_itself.outer.meta_params)
        assert instance.update == UPDATES_PER_CALL * CALLS


def test_no_two_pairs_of_any_device_generation_or_instance_share_noise():
    _, metrics = compiled(2, 3, 0)(settings([3, 4, 5]))
    matrices = metrics["noise"]["recurrent/gates"]["w"]
    num_generations = UPDATES_PER_CALL * CALLS
    assert matrices.shape[:3] == (num_generations, 3, POPULATION_SIZE // 2)
    flat = matrices.reshape(num_generations * 3 * POPULATION_SIZE // 2, -1)
    assert np.unique(flat, axis=0).shape == flat.shape


@pytest.mark.parametrize(
    ("unroll_length", "steps"), [(0, LIFETIME_LENGTH), (UNROLL_LENGTH, UNROLL_LENGTH)], ids=["whole", "unrolls"]
)
def test_env_steps_count_all_members_lifetimes_and_instances(unroll_length, steps):
    for num_devices, num_instances in ((1, 1), (4, 3)):
        program = make_program(num_devices, num_instances, unroll_length)
        assert program.env_steps_per_update == num_instances * POPULATION_SIZE * LIFETIMES * steps
