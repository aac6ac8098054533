"""From a gradient to a new θ: the average that takes its place at the end of a stage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import DistillationConfig, EvolutionConfig
from podmeta.outer.meta_optimiser import AveragedState, MetaOptimiser

RATE = jnp.float32(0.1)


def trained(config, num_updates, first_update=0, more=0):
    """θ after every update of a stage, along random gradients, and the optimiser's last state."""
    optimiser = MetaOptimiser(config, num_updates, first_update)
    meta_params = {"module": {"w": jnp.zeros(3), "b": jnp.ones(())}}
    state, path = optimiser.init(meta_params, RATE), []
    for done in range(num_updates + more):
        gradient = jax.tree.map(lambda leaf, k=done: jax.random.normal(jax.random.key(k), leaf.shape), meta_params)
        update = jnp.int32(first_update + done)
        meta_params, state, _ = optimiser.step(meta_params, state, gradient, RATE, update)
        path.append(np.append(meta_params["module"]["w"], meta_params["module"]["b"]))
    return np.array(path), state


@pytest.mark.parametrize("config", [EvolutionConfig, DistillationConfig])
@pytest.mark.parametrize("first_update", [0, 7])
def test_the_last_update_of_a_stage_puts_the_average_in_the_place_of_meta_params(config, first_update):
    plain, _ = trained(config(), 12, first_update)
    averaged, state = trained(config(average_decay=0.8), 12, first_update)
    np.testing.assert_array_equal(averaged[:-1], plain[:-1])
    average = np.array([0.0, 0.0, 0.0, 1.0])
    for done, meta_params in enumerate(plain):
        decay = min(0.8, (done + 1) / (done + 2))
        average = decay * average + (1 - decay) * meta_params
    np.testing.assert_allclose(averaged[-1], average, rtol=1e-5, atol=1e-6)
    assert isinstance(state, AveragedState)


def test_a_decay_of_1_is_the_mean_of_the_first_meta_params_and_all_updates():
    plain, _ = trained(DistillationConfig(), 9)
    averaged, _ = trained(DistillationConfig(average_decay=1.0), 9)
    np.testing.assert_allclose(averaged[-1], np.vstack([[0, 0, 0, 1], plain]).mean(axis=0), rtol=1e-5, atol=1e-6)


def test_a_job_that_goes_on_beyond_its_stage_goes_on_from_the_average():
    path, _ = trained(DistillationConfig(average_decay=0.9), 5, more=3)
    assert np.abs(np.diff(path[4:], axis=0)).max() <= 2 * float(RATE)


def test_without_an_average_nothing_is_kept_for_it():
    assert not isinstance(trained(DistillationConfig(), 1)[1], AveragedState)
