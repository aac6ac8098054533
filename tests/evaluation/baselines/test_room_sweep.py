"""The sweep of the dark room: against what it earns when it is played, and against a bound."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from podmeta.config.schema import DarkRoomConfig, GridWorldConfig
from podmeta.environments.jax.dark_room import DarkRoom
from podmeta.evaluation.baselines.room_sweep import (
    best_sweep,
    distances,
    goal_worth,
    is_dark_room,
    sweep_inner_loop,
    sweep_lifetime_rewards,
)

SMALL = DarkRoomConfig(height=4, width=5, episode_length=7, lifetime_length=3 * 8)


@pytest.mark.parametrize("config", [SMALL, DarkRoomConfig()])
def test_it_earns_for_each_goal_what_is_worked_out(config):
    inner_loop = sweep_inner_loop(config)

    def earned(goal):
        lifetime = inner_loop.reset(None, jax.random.key(0))._replace(task=goal)
        return jnp.sum(inner_loop.unroll(None, lifetime, config.lifetime_length)[1].reward)

    goals = jnp.arange(config.height * config.width)
    np.testing.assert_allclose(jax.jit(jax.vmap(earned))(goals), sweep_lifetime_rewards(config))


def test_no_sweep_of_a_small_room_is_better():
    """Against every sweep of one episode."""
    room = DarkRoom(3, 3, 6)
    moves = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]

    def earned(actions):
        row, column, found, total = 1, 1, set(), 0
        for step, action in enumerate(actions):
            row, column = (min(max(at + by, 0), 2) for at, by in zip((row, column), moves[action], strict=True))
            if (row, column) not in found:
                found.add((row, column))
                total += 6 - step
        return total

    best = max(map(earned, itertools.product(range(5), repeat=6)))
    assert earned(best_sweep(3, 3, 6, 1)[0]) == best
    assert goal_worth(room, 1).shape == (1, 6, 9)


def test_it_is_within_2_percent_of_what_any_policy_can_earn():
    """A goal takes a step of its own, not before the agent can be there: the best assignment of goals to steps."""
    config = DarkRoomConfig()
    room = DarkRoom(config.height, config.width, config.episode_length)
    worth = goal_worth(room, 10)
    reachable = np.arange(config.episode_length)[:, None] + 1 >= np.maximum(distances(room), 1)
    by_slot = np.where(reachable, worth, -1e6).reshape(-1, room.grid.num_cells)
    bound = by_slot[linear_sum_assignment(by_slot, maximize=True)].sum() / room.grid.num_cells
    mean = sweep_lifetime_rewards(config).mean()
    assert 0.98 * bound < mean <= bound


def test_it_lives_in_dark_rooms_without_transforms():
    assert is_dark_room(DarkRoomConfig(height=3))
    assert not is_dark_room(DarkRoomConfig(permute_actions=True))
    assert not is_dark_room(GridWorldConfig())
