"""Draws of one key: their distributions, and that they are independent."""

import jax
import numpy as np
import pytest
from scipy import stats

from podmeta.environments.jax.draws import Draws, interpolate

NUM_DRAWS = 4000


@pytest.fixture(scope="module")
def drawn():
    def draw(key):
        draws = Draws(key)
        return {
            "uniform": draws.uniform(-1, 2),
            "log": draws.log_uniform(0.1, 10),
            "normal": draws.normal((200,)),
            "further normal": draws.normal((200,)),
            "chance": draws.chance(0.3),
            "sign": draws.sign(),
            "integer": draws.integer(-2, 3),
            "choice": draws.choice((4, 7)),
            "permutations": draws.permutation(4, (2,)),
        }

    keys = jax.random.split(jax.random.key(0), NUM_DRAWS)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(draw))(keys))


def test_the_distributions(drawn, assert_frequency):
    for sample, distribution in (
        (drawn["uniform"], stats.uniform(-1, 3)),
        (np.log(drawn["log"]), stats.uniform(np.log(0.1), np.log(100))),
        (drawn["normal"][:, 0], stats.norm()),
        (drawn["further normal"][:, -1], stats.norm()),
    ):
        assert stats.kstest(sample, distribution.cdf).pvalue > 1e-4
    assert_frequency(drawn["chance"], 0.3)
    assert_frequency(drawn["sign"] == 1, 0.5)
    for integer in range(-2, 3):
        assert_frequency(drawn["integer"] == integer, 1 / 5)
    assert_frequency(drawn["choice"] == 7, 1 / 2)
    np.testing.assert_array_equal(np.unique(drawn["choice"]), [4, 7])


def test_permutations_are_uniform(drawn, assert_frequency):
    permutations = drawn["permutations"]
    np.testing.assert_array_equal(np.sort(permutations, axis=-1), np.broadcast_to(np.arange(4), permutations.shape))
    for value in range(4):
        assert_frequency(permutations[:, 1, 2] == value, 1 / 4)
    assert not np.all(permutations[:, 0] == permutations[:, 1])


def test_draws_do_not_repeat_across_chunks(drawn):
    both = np.concatenate([drawn["normal"], drawn["further normal"]], axis=1)
    assert len(np.unique(both[0])) > 390
    assert abs(np.corrcoef(both[:, 0], both[:, 200])[0, 1]) < 5 / np.sqrt(NUM_DRAWS)


def test_difficulties_are_interpolated():
    assert interpolate(1.0, 9.0, 0.0) == 1
    assert interpolate(1.0, 9.0, 0.5) == pytest.approx(3)
    assert interpolate(1.0, 9.0, 1.0) == pytest.approx(9)
