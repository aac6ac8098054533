"""A family of MDPs: contextual bandits, rewards of state and action, and goals several steps away.

Transitions, rewards, starts and delays are drawn anew for every lifetime.
"""

import math
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from podmeta.config.schema import RandomMDPConfig
from podmeta.environments.base import Environment, restart, transition
from podmeta.environments.jax.advantages import advantage_gap, normalise_advantages
from podmeta.environments.jax.draws import Draws
from podmeta.environments.jax.mdp_tables import (
    NEVER,
    NUM_SUCCESSORS,
    Rewards,
    Transitions,
    distances_to,
    draw_map,
    draw_next_state,
    draw_ring,
    iterate_values,
    with_slips,
)
from podmeta.errors import InputError

REWARDS = ("contexts", "actions", "states", "time", "goal")
_CONTEXTS, _ACTIONS, _STATES, _TIME, _GOAL = range(len(REWARDS))
TRANSITIONS = ("random", "ring", "map")
_RANDOM, _RING, _MAP = range(len(TRANSITIONS))

DISCOUNT = 0.95  # of the teacher
_SWEEPS = 100  # of value iteration
_SMALLEST_GAP = 0.5  # relative to the mean gap of the task
_NUM_CANDIDATES = 4  # goals, of which the one is taken that the most and the longest paths lead to


class Journey(NamedTuple):
    """Where the goal is, and how far from every state.

    Attributes:
      goal: [] the goal.
      is_hole: [num_states] which states end an episode without pay.
      distances: [num_states] steps to the goal, without slips; `NEVER` where no path leads there.
    """

    goal: Int[Array, ""]
    is_hole: Bool[Array, "num_states"]
    distances: Int[Array, "num_states"]


class RandomMDPTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      reward: [] the kind of reward, an index of `REWARDS`.
      transitions: where actions lead.
      rewards: what pays.
      advantages: [num_states, num_actions] the teacher's.
      starts: [num_states] the states, those first in which episodes start.
      num_starts: [] how many those are.
      noise: [] standard deviation of the reward's noise.
      delay: [] steps between payments.
      horizon: [] steps after which an episode is truncated.
      code: [num_states, num_observations] what is shown of each state.
    """

    reward: Int[Array, ""]
    transitions: Transitions
    rewards: Rewards
    advantages: Float[Array, "num_states num_actions"]
    starts: Int[Array, "num_states"]
    num_starts: Int[Array, ""]
    noise: Float[Array, ""]
    delay: Int[Array, ""]
    horizon: Int[Array, ""]
    code: Float[Array, "num_states num_observations"]


class RandomMDPState(NamedTuple):
    """Where an episode stands.

    Attributes:
      state: [] the MDP's state.
      owed: [] rewards that have not been paid yet.
      steps: [] steps taken in this episode.
    """

    state: Int[Array, ""]
    owed: Float[Array, ""]
    steps: Int[Array, ""]


class RandomMDP(Environment[RandomMDPTask, RandomMDPState]):
    """MDPs with one-hot states, or a random code of them.

    The kinds of reward, of which a task has one:

    - contexts: a contextual bandit. actions: the state and the action pay, and the action decides what is next.
    - states: entering a few states pays +1 or -1, which ends the episode in some tasks.
    - time: -1 a step until the goal. goal: +1 at the goal; holes end the episode and pay nothing.

    The kinds of transition are: to random states; along a ring; and on a map, where states are random points, actions
    are directions, and an action leads to the nearest state in its direction. Actions may slip, and lead where another
    action leads. A goal is always within reach.

    The teacher's values come from value iteration, once per task.

    Args:
      config: its config.

    Raises:
      InputError: no kind of reward or of transition is given.
    """

    def __init__(self, config: RandomMDPConfig):
        for key, names, known in (
            ("rewards", config.rewards, REWARDS),
            ("transitions", config.transitions, TRANSITIONS),
        ):
            if not names:
                raise InputError(f"environment.{key} is empty: give one or more of {', '.join(known)}")
        self._config = config
        self._rewards = tuple(REWARDS.index(name) for name in config.rewards)
        self._transitions = tuple(TRANSITIONS.index(name) for name in config.transitions)

    @property
    def num_tasks(self) -> float:
        """Unlimited."""
        return math.inf

    def observation_spec(self) -> specs.Array:
        """[num_states], one-hot, or an unbounded code."""
        if self._config.num_observations:
            return specs.Array((self._config.num_observations,), "float32", "observation")
        return specs.BoundedArray((self._config.num_states,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """One of num_actions."""
        return specs.DiscreteArray(self._config.num_actions, name="action")

    def sample_task(self, key: PRNGKeyArray) -> RandomMDPTask:
        """Draws a task, and works out its teacher."""
        draws = Draws(key)
        kind = draws.choice(self._rewards)
        has_goal, pays_actions = (kind == _TIME) | (kind == _GOAL), (kind == _CONTEXTS) | (kind == _ACTIONS)
        transitions = self._draw_transitions(draws, kind)
        journey = self._draw_journey(draws, transitions, kind)
        rewards = self._draw_rewards(draws, kind, journey)
        values = iterate_values(transitions, rewards, jnp.where(kind == _CONTEXTS, 0.0, DISCOUNT), _SWEEPS)
        starts, num_starts, farthest = self._draw_starts(draws, journey, rewards, has_goal)
        horizon = 10 + draws.log_uniform(4, 25) * jnp.where(has_goal, farthest, 2)
        never_ends = draws.chance(0.4) & ~has_goal
        noise = 2 * self._config.difficulty * draws.uniform(0, 1)
        return RandomMDPTask(
            reward=kind,
            transitions=transitions,
            rewards=rewards,
            advantages=normalise_advantages(values, _SMALLEST_GAP * jnp.mean(advantage_gap(values))),
            starts=starts,
            num_starts=num_starts,
            noise=jnp.where(draws.chance(0.5) & pays_actions, noise, 0.0),
            delay=jnp.where(draws.chance(0.5), 1, draws.integer(1, self._config.longest_delay + 1)),
            horizon=jnp.where(never_ends, NEVER, horizon.astype(jnp.int32)),
            code=self._draw_code(draws),
        )

    def reset(self, key: PRNGKeyArray, task: RandomMDPTask) -> tuple[RandomMDPState, dm_env.TimeStep]:
        """Starts an episode in one of the starts."""
        state = task.starts[jax.random.randint(key, (), 0, task.num_starts)]
        return RandomMDPState(state, jnp.zeros(()), jnp.zeros((), jnp.int32)), restart(task.code[state])

    def step(
        self, key: PRNGKeyArray, task: RandomMDPTask, state: RandomMDPState, action: Int[Array, ""]
    ) -> tuple[RandomMDPState, dm_env.TimeStep]:
        """Moves on, and pays what is owed where it is time to."""
        next_key, noise_key = jax.random.split(key)
        next_state = draw_next_state(next_key, task.transitions, state.state, action)
        earned = task.rewards.of_action[state.state, action] + task.rewards.of_entry[next_state]
        owed = state.owed + earned + task.noise * jax.random.normal(noise_key)
        steps = state.steps + 1
        terminated = task.rewards.ends[next_state]
        truncated = (steps >= task.horizon) & ~terminated
        pays = terminated | truncated | (steps % task.delay == 0)
        after = RandomMDPState(next_state, jnp.where(pays, 0.0, owed), steps)
        return after, transition(jnp.where(pays, owed, 0.0), task.code[next_state], terminated, truncated)

    def expected_advantages(self, task: RandomMDPTask, state: RandomMDPState) -> Float[Array, "num_actions"]:
        """The teacher's, whose MDP has no time limit and pays at once."""
        return task.advantages[state.state]

    def _draw_transitions(self, draws: Draws, kind: Int[Array, ""]) -> Transitions:
        size = (self._config.num_states, self._config.num_actions)
        layout = draws.choice(self._transitions)
        anywhere = draws.integer(0, size[0], (*size, NUM_SUCCESSORS))
        # Some action leads to another state.
        anywhere = anywhere.at[0, 0, 0].set(draws.integer(1, size[0]))
        nearby = with_slips(jnp.where(layout == _RING, draw_ring(draws, *size), draw_map(draws, *size)))
        slip, jump = draws.uniform(0, 2 / 3), draws.uniform(0, 0.1)
        jump = jnp.where(draws.chance(0.3), self._config.difficulty * jump, 0.0)
        return Transitions(
            successors=jnp.where(layout == _RANDOM, anywhere, nearby),
            slip=jnp.where(draws.chance(0.5), self._config.difficulty * slip, 0.0),
            jump=jnp.where(kind == _CONTEXTS, 1.0, jump),
        )

    def _draw_journey(self, draws: Draws, transitions: Transitions, kind: Int[Array, ""]) -> Journey:
        """A goal that paths lead to, and holes which leave one of them."""
        num_states = self._config.num_states
        leads_to = transitions.successors[..., 0]
        # The goals considered are where random actions lead that lead elsewhere.
        is_move = (leads_to != jnp.arange(num_states)[:, None]).ravel()
        order = jnp.where(is_move, draws.uniform(0, 1, is_move.shape), 2.0)
        last_moves = jnp.argsort(order)[:_NUM_CANDIDATES]
        candidates = jnp.where(is_move[last_moves], leads_to.ravel()[last_moves], leads_to.ravel()[last_moves[0]])
        none = jnp.zeros(num_states, bool)
        distances = jax.vmap(lambda goal: distances_to(goal, none, leads_to))(candidates)
        best = jnp.argmax(jnp.sum(jnp.where(distances < NEVER, distances, 0), axis=1))
        goal = candidates[best]

        share = jnp.where(kind == _GOAL, self._config.difficulty, 0.0) * draws.uniform(0, 0.4)
        is_hole = (draws.uniform(0, 1, (num_states,)) < share).at[goal].set(False)
        around = distances_to(goal, is_hole, leads_to)
        is_open = jnp.any((around > 0) & (around < NEVER))
        return Journey(goal, is_hole & is_open, jnp.where(is_open, around, distances[best]))

    def _draw_rewards(self, draws: Draws, kind: Int[Array, ""], journey: Journey) -> Rewards:
        num_states = self._config.num_states
        shape = (num_states, self._config.num_actions)
        ternary = draws.integer(-1, 2, shape).astype(jnp.float32)
        of_action = jnp.where(draws.chance(0.5), draws.normal(shape), ternary)
        # In a contextual bandit, no action is better than another on average.
        of_action -= jnp.where(kind == _CONTEXTS, jnp.mean(of_action, axis=0), 0.0)
        of_action += jnp.where(draws.chance(0.3), draws.uniform(-1, 1), 0.0)

        is_goal = jnp.arange(num_states) == journey.goal
        pays_too = draws.chance(1 / min(8, num_states), (num_states,))
        of_state = jnp.where(is_goal, 1.0, jnp.where(pays_too, draws.sign((num_states,)), 0.0))
        has_goal, pays_states = (kind == _TIME) | (kind == _GOAL), kind == _STATES
        return Rewards(
            of_action=jnp.select([kind <= _ACTIONS, kind == _TIME], [of_action, -1.0], 0.0),
            of_entry=jnp.select([pays_states, kind == _GOAL], [of_state, is_goal.astype(jnp.float32)], 0.0),
            ends=(has_goal & (is_goal | journey.is_hole)) | (pays_states & draws.chance(0.5) & (of_state != 0)),
        )

    def _draw_starts(
        self, draws: Draws, journey: Journey, rewards: Rewards, has_goal: Bool[Array, ""]
    ) -> tuple[Int[Array, "num_states"], Int[Array, ""], Int[Array, ""]]:
        """All states, starts first in random order; how many starts there are; how far the farthest is from the goal.

        Where there is a goal, the starts are the states that are far enough from it, or one of them.
        """
        can_reach = (journey.distances > 0) & (journey.distances < NEVER)
        farthest = jnp.max(jnp.where(can_reach, journey.distances, 0))
        nearest = jnp.ceil(self._config.difficulty * draws.uniform(0, 1) * farthest)
        may_start = jnp.where(has_goal, can_reach & (journey.distances >= nearest), ~rewards.ends)
        may_start |= ~jnp.any(may_start)  # where all states end the episode, it may start in any
        starts = jnp.argsort(draws.uniform(0, 1, may_start.shape) + ~may_start)
        is_single = has_goal & draws.chance(0.5)
        return starts, jnp.where(is_single, 1, jnp.sum(may_start)), farthest

    def _draw_code(self, draws: Draws) -> Float[Array, "num_states num_observations"]:
        """What is shown of each state, in an order that says nothing of what leads where."""
        num_states, num_observations = self._config.num_states, self._config.num_observations
        if not num_observations:
            return jnp.eye(num_states)[draws.permutation(num_states)]
        code = draws.normal((num_states, num_observations))
        return jnp.where(draws.chance(0.5), code, jnp.sign(code))
