"""Tables of MDPs: value iteration and distances against plain NumPy, and where actions lead."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.environments.jax.draws import Draws
from podmeta.environments.jax.mdp_tables import (
    NEVER,
    Rewards,
    Transitions,
    distances_to,
    draw_map,
    draw_next_state,
    draw_ring,
    iterate_values,
    with_slips,
)

NUM_STATES, NUM_ACTIONS = 5, 2
seeds = st.integers(0, 1000)


def random_mdp(seed):
    random = np.random.default_rng(seed)
    transitions = Transitions(
        successors=jnp.asarray(random.integers(NUM_STATES, size=(NUM_STATES, NUM_ACTIONS, 3))),
        slip=jnp.float32(random.uniform(0, 0.6)),
        jump=jnp.float32(random.uniform(0, 0.2)),
    )
    rewards = Rewards(
        of_action=jnp.asarray(random.normal(size=(NUM_STATES, NUM_ACTIONS)), jnp.float32),
        of_entry=jnp.asarray(random.normal(size=NUM_STATES), jnp.float32),
        ends=jnp.asarray(random.uniform(size=NUM_STATES) < 0.3),
    )
    return transitions, rewards


def probabilities(transitions):
    """[state, action, next state], written out."""
    table = np.full((NUM_STATES, NUM_ACTIONS, NUM_STATES), transitions.jump / NUM_STATES, np.float64)
    slip = float(transitions.slip)
    for state, action in np.ndindex(NUM_STATES, NUM_ACTIONS):
        for successor, share in zip(transitions.successors[state, action], (1 - slip, slip / 2, slip / 2), strict=True):
            table[state, action, successor] += (1 - transitions.jump) * share
    return table


@given(seed=seeds)
def test_values_are_those_of_the_best_of_all_policies(seed):
    """Every deterministic policy is solved by itself."""
    transitions, rewards = random_mdp(seed)
    table, discount = probabilities(transitions), 0.9
    paid = np.asarray(rewards.of_action) + table @ np.asarray(rewards.of_entry)
    goes_on = table * ~np.asarray(rewards.ends)
    states = np.arange(NUM_STATES)
    policies = itertools.product(range(NUM_ACTIONS), repeat=NUM_STATES)
    values = np.max(
        [
            np.linalg.solve(np.eye(NUM_STATES) - discount * goes_on[states, policy], paid[states, policy])
            for policy in map(np.array, policies)
        ],
        axis=0,
    )
    found = jax.jit(iterate_values, static_argnums=3)(transitions, rewards, discount, 150)
    np.testing.assert_allclose(found, paid + discount * goes_on @ values, atol=1e-3)


def test_next_states_have_their_probabilities(assert_frequency):
    transitions, _ = random_mdp(3)
    keys = jax.random.split(jax.random.key(0), 20_000)
    table = probabilities(transitions)
    for state, action in ((0, 0), (3, 1)):
        drawn = jax.vmap(draw_next_state, in_axes=(0, None, None, None))(
            keys, transitions, jnp.int32(state), jnp.int32(action)
        )
        for next_state in range(NUM_STATES):
            assert_frequency(drawn == next_state, table[state, action, next_state])


@given(seed=seeds)
def test_distances_are_those_of_breadth_first_search(seed):
    random = np.random.default_rng(seed)
    leads_to = random.integers(8, size=(8, 2))
    is_hole = random.uniform(size=8) < 0.2
    goal = int(random.integers(8))
    is_hole[goal] = False
    expected, frontier, steps = np.full(8, NEVER), {goal}, 0
    while frontier:
        expected[list(frontier)] = steps
        before = {s for s in range(8) if expected[s] == NEVER and not is_hole[s] and frontier & set(leads_to[s])}
        frontier, steps = before, steps + 1
    found = distances_to(jnp.int32(goal), jnp.asarray(is_hole), jnp.asarray(leads_to))
    np.testing.assert_array_equal(found, expected)


@given(seed=seeds)
def test_a_ring_looks_the_same_everywhere(seed):
    leads_to = np.asarray(draw_ring(Draws(jax.random.key(seed)), 7, 3))
    steps = (leads_to - np.arange(7)[:, None] + 2) % 7 - 2
    np.testing.assert_array_equal(steps, np.broadcast_to(steps[0], steps.shape))
    assert np.abs(steps).max() <= 2
    assert 1 in np.abs(steps)


@given(seed=seeds)
def test_a_map_has_ways_back_and_local_moves(seed):
    leads_to = np.asarray(draw_map(Draws(jax.random.key(seed)), 20, 4))
    assert leads_to.shape == (20, 4)
    # Actions 0 and 2 are opposite directions: no state moves to the same neighbour by both.
    moves = leads_to != np.arange(20)[:, None]
    assert not np.any(moves[:, 0] & moves[:, 2] & (leads_to[:, 0] == leads_to[:, 2]))
    # The edges of the map stop some moves, and most others move.
    assert 0.4 < moves.mean() < 1
    # A goal is several steps away from somewhere.
    goal = leads_to[moves][0]
    distances = np.asarray(distances_to(jnp.int32(goal), jnp.zeros(20, bool), jnp.asarray(leads_to)))
    assert distances[distances < NEVER].max() >= 2


def test_actions_slip_to_their_neighbours():
    leads_to = jnp.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(with_slips(leads_to)[1], [[4, 7, 5], [5, 4, 6], [6, 5, 7], [7, 6, 4]])


@pytest.mark.parametrize("num_states", [2, 3])
def test_the_smallest_sizes_draw(num_states):
    draws = Draws(jax.random.key(0))
    assert draw_ring(draws, num_states, 2).max() < num_states
    assert draw_map(draws, num_states, 2).max() < num_states
