"""Tables of random MDPs: where actions lead, how far a goal is, and what actions are worth."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from podmeta.environments.jax.draws import Draws

NUM_SUCCESSORS = 3
NEVER = 10**9  # steps, of what does not happen


class Transitions(NamedTuple):
    """Where actions lead: with probability `jump` to any state alike, else to one of few successors.

    Attributes:
      successors: [num_states, num_actions, num_successors] where an action leads first, and then where it slips to.
      slip: [] the probability that it slips, to either alike, where it does not jump.
      jump: [] the probability of a jump.
    """

    successors: Int[Array, "num_states num_actions num_successors"]
    slip: Float[Array, ""]
    jump: Float[Array, ""]


class Rewards(NamedTuple):
    """What pays, and what ends an episode.

    Attributes:
      of_action: [num_states, num_actions] what an action pays.
      of_entry: [num_states] what entering a state pays.
      ends: [num_states] whether entering a state terminates the episode.
    """

    of_action: Float[Array, "num_states num_actions"]
    of_entry: Float[Array, "num_states"]
    ends: Bool[Array, "num_states"]


def draw_next_state(
    key: PRNGKeyArray, transitions: Transitions, state: Int[Array, ""], action: Int[Array, ""]
) -> Int[Array, ""]:
    """The state that an action leads to."""
    jump_draw, draw = jax.random.uniform(key, (2,))
    num_states = transitions.successors.shape[0]
    slips_to = jnp.where(draw < transitions.slip / 2, 1, 2)
    successor = transitions.successors[state, action, jnp.where(draw < transitions.slip, slips_to, 0)]
    return jnp.where(jump_draw < transitions.jump, (draw * num_states).astype(jnp.int32), successor)


def action_values(
    transitions: Transitions, rewards: Rewards, values: Float[Array, "num_states"], discount: Float[Array, ""] | float
) -> Float[Array, "num_states num_actions"]:
    """What an action pays, and then the discounted value of the state that it leads to."""
    entry = rewards.of_entry + jnp.where(rewards.ends, 0.0, discount * values)
    first, *slips = jnp.moveaxis(entry[transitions.successors], -1, 0)
    led = (1 - transitions.slip) * first + transitions.slip * sum(slips) / len(slips)
    return rewards.of_action + (1 - transitions.jump) * led + transitions.jump * jnp.mean(entry)


def iterate_values(
    transitions: Transitions, rewards: Rewards, discount: Float[Array, ""] | float, num_sweeps: int
) -> Float[Array, "num_states num_actions"]:
    """The values of actions under the best policy, by value iteration. Their error falls as discount^num_sweeps."""

    def sweep(values: Array, _: None) -> tuple[Array, None]:
        return jnp.max(action_values(transitions, rewards, values, discount), axis=1), None

    start = jnp.zeros(transitions.successors.shape[0])
    return action_values(transitions, rewards, jax.lax.scan(sweep, start, length=num_sweeps)[0], discount)


def distances_to(
    goal: Int[Array, ""], is_hole: Bool[Array, "num_states"], leads_to: Int[Array, "num_states num_actions"]
) -> Int[Array, "num_states"]:
    """Steps to the goal from every state, by actions that do not slip; `NEVER` where no path leads there.

    Args:
      goal: the goal.
      is_hole: the states that no path leads through.
      leads_to: where actions lead.
    """
    num_states = leads_to.shape[0]
    start = jnp.full(num_states, NEVER).at[goal].set(0)

    def extend(distances: Array, _: None) -> tuple[Array, None]:
        further = jnp.minimum(distances, 1 + jnp.min(distances[leads_to], axis=1))
        return jnp.where(is_hole, NEVER, further), None

    return jnp.minimum(jax.lax.scan(extend, start, length=num_states)[0], NEVER)


def draw_ring(draws: Draws, num_states: int, num_actions: int) -> Int[Array, "num_states num_actions"]:
    """Where actions lead that make -2 to 2 steps around a ring, the same everywhere; one of them makes a single one."""
    steps = draws.integer(-2, 3, (num_actions,)).at[0].set(draws.sign().astype(jnp.int32))
    return (jnp.arange(num_states)[:, None] + steps[draws.permutation(num_actions)]) % num_states


def draw_map(draws: Draws, num_states: int, num_actions: int) -> Int[Array, "num_states num_actions"]:
    """Where actions lead that are directions on a map of random points.

    An action leads to the nearest state within 60° of its direction; without one, the state does not change.
    """
    points = draws.uniform(0, 1, (num_states, 2))
    angles = 2 * jnp.pi * (jnp.arange(num_actions) / num_actions + draws.uniform(0, 1))
    directions = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    ways = points - points[:, None]  # [from, to, 2]
    lengths = jnp.linalg.norm(ways, axis=-1)[:, None]
    is_ahead = jnp.einsum("std,ad->sat", ways, directions) > 0.5 * lengths  # of a way of no length, it is not
    candidates = jnp.where(is_ahead, lengths, jnp.inf)
    is_stuck = ~jnp.any(is_ahead, axis=-1)
    return jnp.where(is_stuck, jnp.arange(num_states)[:, None], jnp.argmin(candidates, axis=-1))


def with_slips(leads_to: Int[Array, "num_states num_actions"]) -> Int[Array, "num_states num_actions num_successors"]:
    """Successors of actions that slip to where the actions before and after them lead."""
    return jnp.stack([leads_to, jnp.roll(leads_to, 1, axis=1), jnp.roll(leads_to, -1, axis=1)], axis=-1)
