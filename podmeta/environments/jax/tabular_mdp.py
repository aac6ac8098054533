"""Random tabular MDPs.

After Duan et al., "RL²: Fast Reinforcement Learning via Slow Reinforcement Learning" (2016), section 3.2.
"""

import math
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray

from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.errors import InputError


class TabularMDPTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      mean_rewards: [num_states, num_actions] mean reward of each action in each state.
      cumulative_transitions: [num_states, num_actions, num_states] probability that the next state is this
        one or one of lower index. Its differences along the last axis are the transition probabilities.
    """

    mean_rewards: Float[Array, "num_states num_actions"]
    cumulative_transitions: Float[Array, "num_states num_actions num_states"]


class TabularMDPState(NamedTuple):
    """Where an episode stands.

    Attributes:
      state: [] the MDP's state.
      steps: [] steps taken in this episode.
    """

    state: Int[Array, ""]
    steps: Int[Array, ""]


class TabularMDP(Environment[TabularMDPTask, TabularMDPState]):
    """An MDP drawn at random for every lifetime: 10 states, 5 actions and a horizon of 10 in the paper.

    Transition probabilities are drawn from a flat Dirichlet distribution, mean rewards from N(1, 1); the
    reward of a step is drawn from N(mean, 1). Every episode starts in state 0. The observation is the state,
    one-hot.

    The horizon belongs to the problem (a finite-horizon MDP: nothing comes after), so it *terminates* an
    episode, with discount 0; it does not truncate it. The step after the last one is the reset, so an episode
    takes horizon + 1 env steps of a lifetime: `lifetime_length = episodes * (horizon + 1)` holds that many
    whole episodes.

    Args:
      num_states: states, at least 1.
      num_actions: actions, at least 1.
      horizon: steps in an episode, at least 1.

    Raises:
      InputError: there are too few of them.
    """

    def __init__(self, num_states: int, num_actions: int, horizon: int):
        for name, value in (("num_states", num_states), ("num_actions", num_actions), ("horizon", horizon)):
            if value < 1:
                raise InputError(f"environment.{name} is {value}: make it 1 or more")
        self._num_states = num_states
        self._num_actions = num_actions
        self._horizon = horizon

    @property
    def num_tasks(self) -> float:
        """Unlimited."""
        return math.inf

    def observation_spec(self) -> specs.BoundedArray:
        """[num_states], one-hot."""
        return specs.BoundedArray((self._num_states,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """One of num_actions."""
        return specs.DiscreteArray(self._num_actions, name="action")

    def sample_task(self, key: PRNGKeyArray) -> TabularMDPTask:
        """Draws the rewards and the transitions."""
        rewards_key, transitions_key = jax.random.split(key)
        shape = (self._num_states, self._num_actions)
        # A flat Dirichlet draw is a vector of exponential draws over their sum.
        weights = jax.random.exponential(transitions_key, (*shape, self._num_states))
        cumulative_weights = jnp.cumsum(weights, axis=-1)
        return TabularMDPTask(
            mean_rewards=1.0 + jax.random.normal(rewards_key, shape),
            cumulative_transitions=cumulative_weights / cumulative_weights[..., -1:],
        )

    def reset(self, key: PRNGKeyArray, task: TabularMDPTask) -> tuple[TabularMDPState, dm_env.TimeStep]:
        """Starts an episode in state 0."""
        del key, task
        state = TabularMDPState(jnp.int32(0), jnp.int32(0))
        return state, restart(jax.nn.one_hot(state.state, self._num_states))

    def step(
        self, key: PRNGKeyArray, task: TabularMDPTask, state: TabularMDPState, action: Action
    ) -> tuple[TabularMDPState, dm_env.TimeStep]:
        """Pays for the action and moves on; the step that reaches the horizon terminates the episode."""
        reward_key, transition_key = jax.random.split(key)
        reward = task.mean_rewards[state.state, action] + jax.random.normal(reward_key)
        cumulative = task.cumulative_transitions[state.state, action]
        # The last cumulative probability is 1 up to rounding: leaving it out keeps the draw among the states.
        next_state = jnp.sum(cumulative[:-1] <= jax.random.uniform(transition_key), dtype=jnp.int32)
        steps = state.steps + 1
        observation = jax.nn.one_hot(next_state, self._num_states)
        return TabularMDPState(next_state, steps), transition(reward, observation, terminated=steps == self._horizon)
