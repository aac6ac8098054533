"""What views show of features."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.jax.draws import Draws
from podmeta.environments.jax.views import draw_view, show

NUM_FEATURES = 4
seeds = st.integers(0, 2**31 - 1)


@functools.cache
def shown(num_observations):
    def both(seed, features):
        view = draw_view(Draws(jax.random.key(seed)), num_observations, NUM_FEATURES)
        return view, show(view, features)

    return jax.jit(both)


@given(seed=seeds, num_observations=st.sampled_from([4, 6, 18]))
def test_every_feature_is_shown(seed, num_observations):
    features = np.linspace(-0.83, 0.59, NUM_FEATURES, dtype=np.float32)
    _, observation = shown(num_observations)(seed, features)
    assert observation.shape == (num_observations,)
    for feature in range(NUM_FEATURES):
        changed = features.copy()
        changed[feature] += 0.3
        assert not np.allclose(shown(num_observations)(seed, changed)[1], observation)


@pytest.mark.parametrize("num_observations", [16, 18, 64])
def test_place_codes_are_sparse_and_add_up_to_1(num_observations):
    views = [shown(num_observations)(seed, np.full(NUM_FEATURES, 0.3, np.float32)) for seed in range(30)]
    codes = [(view, np.asarray(observation)) for view, observation in views if view.is_place_code]
    assert 3 <= len(codes) <= 20  # a third of all
    for view, observation in codes:
        for feature in range(NUM_FEATURES):
            of_feature = np.asarray(view.weights)[:, feature] == 1
            _, first = np.unique(np.asarray(view.centres)[of_feature], return_index=True)
            places = observation[of_feature][first]
            assert places.size == num_observations // NUM_FEATURES
            assert places.sum() == pytest.approx(1, abs=1e-5)
            assert np.count_nonzero(places) <= 2


def test_few_components_hold_no_places():
    assert not any(shown(15)(seed, np.zeros(NUM_FEATURES, np.float32))[0].is_place_code for seed in range(30))
