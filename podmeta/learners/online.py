"""Hand-written learners: online actor-critic, and REINFORCE with eligibility traces, with a linear policy.

They are baselines for learned algorithms, with the same inputs and the same inner loop. Their θ holds deviations of the
rule's hyperparameters from those of the config, so that evolution can tune them like a learned algorithm.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.config.schema import OnlineActorCriticConfig, OnlineReinforceConfig
from podmeta.errors import InputError
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, MetaParams, as_numbers
from podmeta.learners.online_rule import (
    LinearPolicy,
    LinearValue,
    Transition,
    deviations_of,
    init_policy,
    init_value,
    last_transition,
    learn_policy,
    learn_value,
    no_deviations,
    rule_numbers,
    td_error,
)

_MODULE = "online"


class OnlineState(NamedTuple):
    """The state of a hand-written learner.

    Attributes:
      policy: its policy.
      value: its value; REINFORCE keeps None.
      features: [num_features] of the last time step: the observation's components and a constant 1.
      parameters: [num_actions, num_policy_channels] of the policy at the last time step.
      num_steps: [] env steps so far.
    """

    policy: LinearPolicy
    value: LinearValue | None
    features: Float[Array, "num_features"]
    parameters: Float[Array, "num_actions num_policy_channels"]
    num_steps: Float[Array, ""]


def make_online_actor_critic(
    config: OnlineActorCriticConfig, observation_size: int, num_actions: int, num_policy_channels: int
) -> Learner:
    """The actor-critic with TD(λ), for one size of observation and number of actions. Its θ fits any size.

    Raises:
      InputError: TD(λ) could diverge.
    """
    largest = 1.0 - config.discount * config.trace_decay
    if config.value_step_size > largest:
        raise InputError(
            f"learner.value_step_size={config.value_step_size:g} is more than 1 - learner.discount * "
            f"learner.trace_decay, {largest:.3g}, with which TD(λ) may diverge: make it smaller"
        )

    def step(
        meta_params: MetaParams, state: OnlineState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, OnlineState]:
        numbers = rule_numbers(config, deviations_of(meta_params[_MODULE]))
        transition = _transition(state, learner_input)
        assert state.value is not None
        error = td_error(numbers, state.value, transition)
        policy = learn_policy(numbers, state.policy, transition, error, state.num_steps)
        value = learn_value(numbers, state.value, transition, error)
        expected_return = jnp.dot(transition.next_features, value.weights)
        return _act(state._replace(policy=policy, value=value), transition, expected_return)

    return _make_learner(step, init_value(observation_size + 1), observation_size, num_actions, num_policy_channels)


def make_online_reinforce(
    config: OnlineReinforceConfig, observation_size: int, num_actions: int, num_policy_channels: int
) -> Learner:
    """REINFORCE with eligibility traces, for one size of observation and number of actions. Its θ fits any size.

    The centred reward takes the place of the advantage: a reward above the running mean reinforces the actions in the
    trace. Without normalised rewards, the reward itself does.
    """

    def step(
        meta_params: MetaParams, state: OnlineState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, OnlineState]:
        numbers = rule_numbers(config, deviations_of(meta_params[_MODULE]))
        transition = _transition(state, learner_input)
        centred, reward = learner_input.centred_reward, learner_input.reward
        advantage = reward if centred is None else centred
        policy = learn_policy(numbers, state.policy, transition, advantage, state.num_steps)
        return _act(state._replace(policy=policy), transition, jnp.zeros(()))

    return _make_learner(step, None, observation_size, num_actions, num_policy_channels)


def _make_learner(
    step: Callable[[MetaParams, OnlineState, LearnerInput], tuple[LearnerOutput, OnlineState]],
    value: LinearValue | None,
    observation_size: int,
    num_actions: int,
    num_policy_channels: int,
) -> Learner:
    """A learner that starts with a zero policy and the given value."""

    def init(key: PRNGKeyArray) -> MetaParams:
        del key
        return {_MODULE: no_deviations()._asdict()}

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> OnlineState:
        del meta_params, key
        return OnlineState(
            policy=init_policy(observation_size + 1, num_actions, num_policy_channels),
            value=value,
            features=jnp.zeros(observation_size + 1),
            parameters=jnp.zeros((num_actions, num_policy_channels)),
            num_steps=jnp.zeros(()),
        )

    return Learner(init, initial_state, step)


def _transition(state: OnlineState, learner_input: LearnerInput) -> Transition:
    """What the last action led to."""
    features = jnp.append(as_numbers(learner_input.observation).reshape(-1), 1.0)
    return last_transition(state.features, state.parameters, state.num_steps, features, learner_input)


def _act(
    state: OnlineState, transition: Transition, expected_return: Float[Array, ""]
) -> tuple[LearnerOutput, OnlineState]:
    """The output at the time step after a transition, and the next state."""
    parameters = state.policy.parameters(transition.next_features)
    state = state._replace(features=transition.next_features, parameters=parameters, num_steps=state.num_steps + 1.0)
    return LearnerOutput(parameters, expected_return), state
