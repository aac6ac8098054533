"""Task wrappers over batches: against the wrappers of the device, given the same draws."""

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.schema import FactoryConfig
from podmeta.environments import padding as device_padding
from podmeta.environments import wrappers as device
from podmeta.environments.base import Environment, restart, transition
from podmeta.environments.host import wrappers as host
from podmeta.environments.host.base import HostEnvironment
from podmeta.errors import InputError

BATCH, SHAPE, NUM_ACTIONS = 3, (2, 3), 4
seeds = st.integers(0, 2**32 - BATCH)


class Board(Environment):
    """Shows its step and its last action; action 0 terminates an episode, the third step truncates it."""

    def __init__(self, continuous):
        self._continuous = continuous

    def observation_spec(self):
        return specs.BoundedArray(SHAPE, np.float32, minimum=-np.arange(6.0).reshape(SHAPE), maximum=9.0)

    def action_spec(self):
        if self._continuous:
            return specs.BoundedArray((NUM_ACTIONS,), np.float32, minimum=-1.0, maximum=1.0)
        return specs.DiscreteArray(NUM_ACTIONS, np.int32)

    def sample_task(self, key):
        return ()

    def reset(self, key, task):
        return jnp.array(0), restart(self._observe(0, self.action_spec().minimum))

    def step(self, key, task, state, action):
        reward = jnp.sum(action * jnp.arange(1.0, 1.0 + jnp.size(action)))
        terminated = jnp.ravel(jnp.asarray(action))[0] == 0
        return state + 1, transition(reward, self._observe(state + 1, action), terminated, state + 1 >= 3)

    def _observe(self, step, action):
        shown = jnp.broadcast_to(jnp.asarray(action, jnp.float32), (NUM_ACTIONS,))
        return jnp.concatenate([jnp.array([step, -1.5]), shown]).reshape(SHAPE)


class BatchOfBoards(HostEnvironment):
    """Boards side by side, stepped by the device's own functions."""

    def __init__(self, continuous):
        super().__init__("boards", BATCH)
        self._board = Board(continuous)

    def observation_spec(self):
        return self._board.observation_spec()

    def action_spec(self):
        return self._board.action_spec()

    def reset(self, starts, seeds):
        self._state = np.zeros(BATCH, np.int32)
        return _in_numpy(jax.vmap(lambda _: self._board.reset(None, ())[1])(jnp.arange(BATCH)))

    def step(self, actions):
        step = jax.vmap(lambda state, action: self._board.step(None, (), state, action))
        self._state, timestep = step(self._state, jnp.asarray(actions))
        return _in_numpy(timestep)

    def close(self):
        pass


def _in_numpy(timestep):
    return dm_env.TimeStep(*map(np.asarray, timestep))


WRAPPERS = {
    "permuted observations": (host.PermutedObservations, device.PermutedObservations),
    "permuted actions": (host.PermutedActions, device.PermutedActions),
    "flipped signs": (host.FlippedObservationSigns, device.FlippedObservationSigns),
    "scaled": tuple(
        lambda inside, wrapper=wrapper: wrapper(inside, [1.0, -2.0, 0.0, 3.0, 0.5, 1e3])
        for wrapper in (host.ScaledObservations, device.ScaledObservations)
    ),
    "failure reward": (host.FailureReward, device.FailureReward),
    "padded": tuple(
        lambda inside, wrapper=wrapper: wrapper(inside, 8, 6) for wrapper in (host.Padded, device_padding.Padded)
    ),
    "duplicated": tuple(
        lambda inside, wrapper=wrapper: wrapper(inside, 3)
        for wrapper in (host.DuplicatedObservations, device.DuplicatedObservations)
    ),
    "padded in actions": tuple(
        lambda inside, wrapper=wrapper: wrapper(inside, 0, 6) for wrapper in (host.Padded, device_padding.Padded)
    ),
}


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_batch_is_wrapped_as_the_device_wraps_each_row(name, continuous):
    wrap_batch, wrap_one = WRAPPERS[name]
    batch, one = wrap_batch(BatchOfBoards(continuous)), wrap_one(Board(continuous))
    assert batch.observation_spec() == one.observation_spec()
    assert batch.action_spec() == one.action_spec()

    first = batch.reset(np.ones(BATCH, bool), np.arange(BATCH, dtype=np.uint32))
    drawn = getattr(batch, "drawn", None)
    drawn = [()] * BATCH if drawn is None else [jnp.asarray(row) for row in drawn]
    if name == "flipped signs":
        drawn = [row.ravel() for row in drawn]
    key, tasks = jax.random.key(0), [device.WrappedTask((), row) for row in drawn]
    states, expected = zip(*(one.reset(key, task) for task in tasks), strict=True)
    _assert_rows(first, expected)

    generator, spec = np.random.default_rng(0), batch.action_spec()
    for _ in range(3):
        if continuous:
            actions = generator.uniform(-1, 1, (BATCH, *spec.shape)).astype(np.float32)
        else:
            actions = generator.integers(0, spec.num_values, BATCH).astype(np.int32)
        stepped = batch.step(actions)
        rows = [
            one.step(key, task, state, jnp.asarray(action))
            for task, state, action in zip(tasks, states, actions, strict=True)
        ]
        states, expected = zip(*rows, strict=True)
        _assert_rows(stepped, expected)


def _assert_rows(timestep, expected):
    for row, wanted in enumerate(expected):
        for values, wanted_values in zip(timestep, wanted, strict=True):
            np.testing.assert_allclose(values[row], wanted_values, rtol=1e-6)
            assert values.dtype == wanted_values.dtype


DRAWING = [host.PermutedObservations, host.PermutedActions, host.FlippedObservationSigns]


@pytest.mark.parametrize("wrap", DRAWING)
@given(seed=seeds)
def test_a_draw_follows_from_its_seed_alone(wrap, seed):
    batch, other = wrap(BatchOfBoards(False)), wrap(BatchOfBoards(False))
    rows = np.array([seed, seed + 1, seed + 2], np.uint32)
    batch.reset(np.ones(BATCH, bool), rows)
    before = batch.drawn.copy()
    other.reset(np.ones(BATCH, bool), np.arange(BATCH, dtype=np.uint32))
    other.reset(np.array([False, True, True]), rows[::-1].copy())
    np.testing.assert_array_equal(other.drawn[1:], before[::-1][1:])

    batch.reset(np.array([False, True, False]), np.full(BATCH, 7, np.uint32))
    np.testing.assert_array_equal(batch.drawn[[0, 2]], before[[0, 2]])


@pytest.mark.parametrize("wrap", DRAWING)
def test_lifetimes_cover_all_draws_equally(wrap):
    batch = wrap(BatchOfBoards(False))
    number = 1200
    draws = np.stack([batch.draw(np.random.default_rng((seed, wrap.stream))).ravel() for seed in range(number)])
    # Each component takes each of its values equally often.
    values = np.unique(draws)
    expected = number / len(values)
    for value in values:
        assert (np.abs((draws == value).sum(axis=0) - expected) < 5 * np.sqrt(expected)).all()


def test_wrappers_of_one_seed_draw_apart():
    streams = [wrap.stream for wrap in DRAWING]
    assert len(set(streams)) == len(streams)


def test_bytes_stay_bytes_where_they_are_moved_and_become_numbers_where_they_are_multiplied(make, begin):
    factory = "tests.environments.host.factories:Box"
    moved = make(FactoryConfig(factory=factory, permute_observations=True, padded_observation_size=7), 2)
    assert moved.observation_spec().dtype == np.uint8 == begin(moved).observation.dtype
    scaled = make(FactoryConfig(factory=factory, observation_scale=[1 / 255], flip_observation_signs=True), 2)
    spec = scaled.observation_spec()
    assert spec.dtype == np.float32 and (spec.minimum == -1).all() and (spec.maximum == 1).all()
    assert (np.abs(begin(scaled).observation) == 1).all()


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda inside: host.ScaledObservations(inside, [1.0, 2.0]), r"environment\.observation_scale has 2 factors"),
        (lambda inside: host.Padded(inside, 5, 0), r"environment\.padded_observation_size is 5"),
        (lambda inside: host.Padded(inside, 0, 3), r"environment\.padded_num_actions is 3"),
    ],
)
def test_what_does_not_fit_is_told(wrap, message):
    with pytest.raises(InputError, match=message):
        wrap(BatchOfBoards(False))
