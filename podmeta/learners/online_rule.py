"""A hand-written learning rule: a linear policy, and a linear value, that learn from every env step.

This is the textbook's actor-critic with eligibility traces, TD(λ) for the value (Sutton & Barto 2018, 12.2 and 13.6),
and its REINFORCE-like relative without a value. The policy's steps are divided by the running root mean square of
their gradients, as in RMSprop (Tieleman & Hinton 2012), so that their size does not depend on the task.

The functions are pure. A learner keeps the features and the policy of the last time step, and calls them once the next
time step shows what the action led to.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from podmeta.config.schema import OnlineRuleConfig
from podmeta.learners.base import LearnerInput, MetaParams
from podmeta.learners.policies import policy_score

DEVIATION_SCALE = 5.0
"""The units of θ's deviations, in which evolution's noise of σ = 0.03 changes a number by 15%."""

_SMALLEST_DECAY_RATE = 0.0005  # of 1 - decay: the longest memory is 2,000 env steps
_SHORTEST_HORIZON_RATE = 0.005  # of 1 - discount and 1 - trace_decay: the longest horizon is 200 env steps
_STEPS_BEFORE_ANNEALING = 100.0


class RuleNumbers(NamedTuple):
    """The numbers of the rule.

    Attributes:
      step_size: [] of the policy's weights.
      annealing: [] after n env steps the step size is divided by (n / 100) to this power; never below 0.
      trace_decay: [] λ of both eligibility traces.
      discount: [] γ.
      mean_square_decay: [] decay of the running mean of squared gradients.
      value_step_size: [] of the value's weights, per squared length of the features.
    """

    step_size: Float[Array, ""]
    annealing: Float[Array, ""]
    trace_decay: Float[Array, ""]
    discount: Float[Array, ""]
    mean_square_decay: Float[Array, ""]
    value_step_size: Float[Array, ""]


def no_deviations() -> RuleNumbers:
    """The θ of the rule as its config has it: deviations of zero."""
    return RuleNumbers(*(jnp.zeros(()) for _ in RuleNumbers._fields))


def rule_numbers(config: OnlineRuleConfig, deviations: RuleNumbers) -> RuleNumbers:
    """The rule's numbers: those of its config, changed by what θ says.

    Sizes are multiplied by exp(5 deviation); decays d keep 1 - d positive by the same factor on it. So no deviation
    changes a sign, and a step size never grows within a lifetime. The value's step size is at most 1 - γλ: traces add
    up to 1 / (1 - γλ), so with a larger one TD(λ) may overshoot more each time.
    """
    factors = RuleNumbers(*(jnp.exp(DEVIATION_SCALE * deviation) for deviation in deviations))

    def decay(chosen: float, factor: Float[Array, ""], smallest: float) -> Float[Array, ""]:
        return jnp.where(chosen < 1.0, 1.0 - jnp.clip((1.0 - chosen) * factor, smallest, 1.0), 1.0)

    trace_decay = decay(config.trace_decay, factors.trace_decay, _SHORTEST_HORIZON_RATE)
    discount = decay(config.discount, factors.discount, _SHORTEST_HORIZON_RATE)
    return RuleNumbers(
        step_size=config.step_size * factors.step_size,
        annealing=jnp.minimum(config.annealing * factors.annealing, 1.0),
        trace_decay=trace_decay,
        discount=discount,
        mean_square_decay=decay(config.mean_square_decay, factors.mean_square_decay, _SMALLEST_DECAY_RATE),
        value_step_size=jnp.minimum(config.value_step_size * factors.value_step_size, 1.0 - trace_decay * discount),
    )


class Transition(NamedTuple):
    """What an action led to, seen at the time step after it.

    Attributes:
      features: [num_features] at the time step of the action.
      score: [num_actions, num_policy_channels] the policy's score of the action (`policy_score`).
      next_features: [num_features] at the time step after it.
      reward: [] the reward.
      episode_start: [] whether the time step after it starts an episode, so that the action was ignored.
      is_known: [] whether there was a time step before at all: False at the first one of a lifetime.
    """

    features: Float[Array, "num_features"]
    score: Float[Array, "num_actions num_policy_channels"]
    next_features: Float[Array, "num_features"]
    reward: Float[Array, ""]
    episode_start: Float[Array, ""]
    is_known: Bool[Array, ""]

    @property
    def acted(self) -> Float[Array, ""]:
        """1 where an action was taken that the environment did not ignore, else 0."""
        return (1.0 - self.episode_start) * self.is_known


def last_transition(
    features: Float[Array, "num_features"],
    parameters: Float[Array, "num_actions num_policy_channels"],
    num_steps: Float[Array, ""],
    next_features: Float[Array, "num_features"],
    learner_input: LearnerInput,
) -> Transition:
    """What the last action led to.

    Args:
      features: of the last time step.
      parameters: of the policy at the last time step.
      num_steps: [] env steps of the lifetime before this one.
      next_features: of this time step.
      learner_input: the learner's input at this time step.
    """
    return Transition(
        features=features,
        score=policy_score(parameters, learner_input.previous_action),
        next_features=next_features,
        reward=learner_input.reward,
        episode_start=learner_input.episode_start,
        is_known=num_steps > 0,
    )


class LinearPolicy(NamedTuple):
    """A linear policy that learns.

    Attributes:
      weights: [num_features, num_actions, num_policy_channels].
      trace: of the scores, cut where an episode starts.
      mean_square: running mean of squared gradients.
      num_gradients: [] env steps since the first gradient that was not zero, which the mean's bias is corrected by.
      step: the last change of the weights, in units of the step size.
    """

    weights: Float[Array, "num_features num_actions num_policy_channels"]
    trace: Float[Array, "num_features num_actions num_policy_channels"]
    mean_square: Float[Array, "num_features num_actions num_policy_channels"]
    num_gradients: Float[Array, ""]
    step: Float[Array, "num_features num_actions num_policy_channels"]

    def parameters(self, features: Float[Array, "num_features"]) -> Float[Array, "num_actions num_policy_channels"]:
        """The policy's parameters, which are linear in the features."""
        return jnp.einsum("a,abc->bc", features, self.weights)


def init_policy(num_features: int, num_actions: int, num_policy_channels: int) -> LinearPolicy:
    """All zeros: a uniform policy, or a standard normal one."""
    zeros = jnp.zeros((num_features, num_actions, num_policy_channels))
    return LinearPolicy(zeros, zeros, zeros, jnp.zeros(()), zeros)


def learn_policy(
    numbers: RuleNumbers,
    policy: LinearPolicy,
    transition: Transition,
    advantage: Float[Array, ""],
    num_steps: Float[Array, ""],
) -> LinearPolicy:
    """One step of the policy along its eligibility trace.

    Args:
      numbers: of the rule.
      policy: before the step.
      transition: what the action led to.
      advantage: [] of the action.
      num_steps: [] env steps of the lifetime before this one.
    """
    outer_product = transition.features[:, None, None] * transition.score * transition.acted
    trace = numbers.trace_decay * numbers.discount * policy.trace + outer_product
    gradient = transition.acted * advantage * trace

    has_gradient = (policy.num_gradients > 0) | jnp.any(gradient != 0)
    num_gradients = policy.num_gradients + has_gradient
    decay = numbers.mean_square_decay
    mean_square = jnp.where(has_gradient, decay * policy.mean_square + (1.0 - decay) * gradient**2, policy.mean_square)
    unbiased = mean_square / (1.0 - decay ** jnp.maximum(num_gradients, 1.0))
    step = gradient / (jnp.sqrt(unbiased + 1e-20) + 1e-6)

    annealed = jnp.maximum(num_steps / _STEPS_BEFORE_ANNEALING, 1.0) ** -numbers.annealing
    weights = policy.weights + numbers.step_size * annealed * step
    return LinearPolicy(weights, (1.0 - transition.episode_start) * trace, mean_square, num_gradients, step)


class LinearValue(NamedTuple):
    """A linear value that learns.

    Attributes:
      weights: [num_features].
      trace: [num_features] of the features, cut where an episode starts.
    """

    weights: Float[Array, "num_features"]
    trace: Float[Array, "num_features"]


def init_value(num_features: int) -> LinearValue:
    """All zeros."""
    return LinearValue(jnp.zeros(num_features), jnp.zeros(num_features))


def td_error(numbers: RuleNumbers, value: LinearValue, transition: Transition) -> Float[Array, ""]:
    """The TD error of a transition; 0 where there was none.

    A learner is not shown the discount of a time step. That an observation was its episode's last shows one time step
    later, when the next episode has begun; its value is then trained towards 0.
    """
    after = transition.reward + numbers.discount * jnp.dot(transition.next_features, value.weights)
    target = (1.0 - transition.episode_start) * after
    return jnp.where(transition.is_known, target - jnp.dot(transition.features, value.weights), 0.0)


def learn_value(
    numbers: RuleNumbers, value: LinearValue, transition: Transition, error: Float[Array, ""]
) -> LinearValue:
    """One step of TD(λ) with accumulating traces, by the TD error of the transition.

    The step is divided by the squared length of the features: of those before and after the transition, or of the mean
    that the trace holds, whichever is longest. Divided by one of them alone, features whose length varies make the
    value diverge.
    """
    decay = numbers.trace_decay * numbers.discount
    trace = decay * value.trace + transition.features
    lengths = [_squared(transition.features), _squared(transition.next_features), _squared((1.0 - decay) * trace)]
    squared_length = jnp.max(jnp.stack([*lengths, jnp.ones(())]))
    weights = value.weights + numbers.value_step_size * error * trace / squared_length
    return LinearValue(weights, (1.0 - transition.episode_start) * trace)


def _squared(features: Float[Array, "num_features"]) -> Float[Array, ""]:
    """The squared length of a vector."""
    return jnp.sum(features**2)


def deviations_of(meta_params: MetaParams) -> RuleNumbers:
    """The deviations that a module of θ holds, by name."""
    return RuleNumbers(**{name: meta_params[name] for name in RuleNumbers._fields})
