"""Q-learning with a table, for environments whose observations are one-hot.

Watkins & Dayan 1992, "Q-learning", with an ε-greedy policy. It keeps its table across episodes of a lifetime.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from podmeta.config.schema import EnvironmentConfig
from podmeta.environments.host.registry import lives_on_host, patient_host_environment
from podmeta.evaluation.baselines.controls import random_inner_loop
from podmeta.inner_loop import InnerLoop, environment_specs, place_learner
from podmeta.keys import make_key
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, MetaParams
from podmeta.learners.policies import make_policy

TABULAR_Q = "tabular_q"
"""What its rows call it."""

STEP_SIZE, DISCOUNT, EXPLORATION = 0.3, 0.95, 0.1
"""α, γ and ε."""

_LOOKED_AT = 100  # env steps of a random policy that show whether observations are one-hot


class TabularState(NamedTuple):
    """The state of a Q-learner.

    Attributes:
      values: [num_states + 1, num_actions] the table, whose last row is that of an observation without a 1.
      state: [] the row of the last observation.
      has_acted: [] whether there was one in this lifetime.
    """

    values: Float[Array, "num_rows num_actions"]
    state: Int[Array, ""]
    has_acted: Bool[Array, ""]


def make_tabular_q(num_states: int, num_actions: int) -> Learner:
    """The Q-learner, for observations with so many components, one of which is 1. It has no θ.

    An action at the last time step of an episode leads nowhere and is not learned from. So a terminal observation keeps
    the value 0.
    """

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> TabularState:
        del meta_params, key
        return TabularState(jnp.zeros((num_states + 1, num_actions)), jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def step(
        meta_params: MetaParams, state: TabularState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, TabularState]:
        del meta_params
        observation = learner_input.observation.reshape(-1)
        reached = jnp.where(jnp.any(observation > 0), jnp.argmax(observation), num_states).astype(jnp.int32)
        action = jnp.argmax(learner_input.previous_action)
        learns = state.has_acted & (learner_input.episode_start == 0)
        target = learner_input.reward + DISCOUNT * jnp.max(state.values[reached])
        change = jnp.where(learns, STEP_SIZE * (target - state.values[state.state, action]), 0.0)
        values = state.values.at[state.state, action].add(change)
        best = values[reached] == jnp.max(values[reached])
        probabilities = EXPLORATION / num_actions + (1.0 - EXPLORATION) * best / jnp.sum(best)
        output = LearnerOutput(jnp.log(probabilities)[:, None], jnp.max(values[reached]))
        return output, TabularState(values, reached, jnp.ones((), bool))

    return Learner(lambda key: None, initial_state, step)


def tabular_q_inner_loop(environment_config: EnvironmentConfig) -> InnerLoop:
    """The Q-learner in an environment of which `is_tabular` holds."""
    observation_spec, action_spec = environment_specs(environment_config)
    policy = make_policy(action_spec)
    learner = make_tabular_q(int(np.prod(observation_spec.shape)), policy.num_actions)
    return place_learner(learner, policy, environment_config)


def is_tabular(environment_config: EnvironmentConfig) -> bool:
    """Whether actions are discrete and observations one-hot, as far as a random policy sees.

    An observation without a 1, such as DeepSea's last, is taken for one state more.
    """
    observation_spec, action_spec = environment_specs(environment_config)
    if not isinstance(action_spec, specs.DiscreteArray) or observation_spec.dtype == np.uint8:
        return False
    shown = _shown_to_random(environment_config, action_spec.num_values)
    flat = shown.reshape(len(shown), -1)
    is_zero_or_one = bool(np.isin(flat, (0, 1)).all())
    return is_zero_or_one and bool((flat.sum(axis=1) <= 1).all()) and len(np.unique(flat, axis=0)) > 1


def _shown_to_random(environment_config: EnvironmentConfig, num_actions: int) -> Shaped[np.ndarray, "steps ..."]:
    """What a random policy sees at the beginning of a lifetime."""
    num_steps = min(environment_config.lifetime_length, _LOOKED_AT)
    if not lives_on_host(environment_config):
        inner_loop = random_inner_loop(environment_config)
        unroll = jax.jit(lambda key: inner_loop.unroll(None, inner_loop.reset(None, key), num_steps)[1])
        return np.asarray(unroll(make_key(0)).learner_input.observation)
    generator = np.random.default_rng(0)
    with patient_host_environment(environment_config, num_environments=1) as environment:
        shown = [environment.reset(np.ones(1, bool), np.zeros(1, np.uint32)).observation[0]]
        for _ in range(num_steps - 1):
            actions = generator.integers(num_actions, size=1).astype(np.int32)
            shown.append(environment.step(actions).observation[0])
    return np.stack(shown)
