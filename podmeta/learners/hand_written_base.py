"""The hand-written base beneath the LSTMs of a symmetric learner: online actor-critics that act together.

`learner.base=actor_critic` is one actor-critic, the textbook's. `learner.base=multi_horizon` is three, which look ahead
over different horizons: tasks that pay at once are learned fastest by the shortest, tasks that pay late only by the
longest. The policy's parameters are the mean of theirs. Each learns from the action that they took together, by its own
TD error and along its own trace.

The values of `multi_horizon` differ from the textbook's in two ways. They are linear in the squares of the observation
too, so that they can be low at both ends of a component. And they contain a constant that is not learned by TD: with r̄
the mean reward of the env steps that ended no episode, a value is

    r̄ / (1 - γ) + w · features

so that the end of an episode counts at once where every step is paid, or costs, the same. Without it the weights would
have to learn this constant first. In a task without ends this is reward centring (Naik et al. 2024, arXiv 2405.09999).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.config.schema import OnlineActorCriticConfig
from podmeta.learners.normalisation import REWARD_WINDOW
from podmeta.learners.online_rule import (
    LinearPolicy,
    LinearValue,
    RuleNumbers,
    Transition,
    init_policy,
    init_value,
    learn_policy,
    learn_value,
    rule_numbers,
    td_error,
)


class BaseRule(NamedTuple):
    """Which actor-critics a base is made of.

    Attributes:
      members: of each actor-critic, before θ changes its numbers.
      centred_quadratic_values: whether values see squares too, and contain the mean reward's constant.
    """

    members: tuple[OnlineActorCriticConfig, ...]
    centred_quadratic_values: bool


BASE_RULES = {
    "actor_critic": BaseRule((OnlineActorCriticConfig(annealing=0.2),), centred_quadratic_values=False),
    "multi_horizon": BaseRule(
        tuple(
            OnlineActorCriticConfig(step_size=0.08, annealing=0.25, discount=discount, trace_decay=trace_decay)
            for discount, trace_decay in ((0.7, 0.0), (0.858, 0.93), (0.965, 0.75))
        ),
        centred_quadratic_values=True,
    ),
}
"""By `learner.base`. The numbers of `multi_horizon` were chosen on tasks of the families that training leaves out."""


class MeanReward(NamedTuple):
    """The mean reward r̄ of env steps that ended no episode.

    Attributes:
      mean: [] the running mean.
      num_rewards: [] rewards in it.
      last: [] the last reward.
      last_counts: [] whether an action earned it; whether it ended the episode shows one time step later.
    """

    mean: Float[Array, ""]
    num_rewards: Float[Array, ""]
    last: Float[Array, ""]
    last_counts: Float[Array, ""]


class Base(NamedTuple):
    """The state of a base. With several members, arrays of policy and value have a leading axis of members.

    Attributes:
      policy: of each member.
      value: of each member.
      mean_reward: that values contain; None where they do not.
    """

    policy: LinearPolicy
    value: LinearValue
    mean_reward: MeanReward | None


def init_base(rule: BaseRule, num_inputs: int, num_actions: int, num_policy_channels: int) -> Base:
    """A base that has learned nothing: a uniform policy, or a standard normal one."""
    num_value_features = 2 * num_inputs if rule.centred_quadratic_values else num_inputs
    base = Base(init_policy(num_inputs, num_actions, num_policy_channels), init_value(num_value_features), None)
    if len(rule.members) > 1:
        base = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(rule.members), *leaf.shape)), base)
    if not rule.centred_quadratic_values:
        return base
    nothing = jnp.zeros(())
    return base._replace(mean_reward=MeanReward(nothing, nothing, nothing, nothing))


def shared_policy(rule: BaseRule, base: Base) -> LinearPolicy:
    """The members' policies as one: the mean of their weights, traces and steps."""
    if len(rule.members) == 1:
        return base.policy
    return LinearPolicy(*(jnp.mean(leaf, axis=0) for leaf in base.policy))


def learn_base(
    rule: BaseRule, deviations: RuleNumbers, base: Base, transition: Transition, num_steps: Float[Array, ""]
) -> tuple[Base, Float[Array, ""]]:
    """The base after it has learned from a transition, and the mean of its members' TD errors.

    Args:
      rule: which actor-critics it is made of.
      deviations: of their numbers, by θ; the same for all members.
      base: its state before.
      transition: what the last action led to.
      num_steps: [] env steps of the lifetime before this one.
    """
    each = _over_members(rule)
    of_members = [rule_numbers(member, deviations) for member in rule.members]
    numbers = jax.tree.map(lambda *leaves: jnp.stack(leaves), *of_members) if len(of_members) > 1 else of_members[0]
    seen_by_value = transition
    if rule.centred_quadratic_values:
        seen_by_value = transition._replace(
            features=_with_squares(transition.features), next_features=_with_squares(transition.next_features)
        )
    errors = each(td_error, (0, 0, None))(numbers, base.value, seen_by_value)
    mean_reward = base.mean_reward
    if mean_reward is not None:
        mean_reward = _updated(mean_reward, transition)
        errors = errors - _constant_error(mean_reward, numbers.discount, transition)
    policy = each(learn_policy, (0, 0, None, 0, None))(numbers, base.policy, transition, errors, num_steps)
    value = each(learn_value, (0, 0, None, 0))(numbers, base.value, seen_by_value, errors)
    return Base(policy, value, mean_reward), jnp.mean(errors)


def _over_members(rule: BaseRule) -> Callable[[Callable[..., Any], tuple[int | None, ...]], Callable[..., Any]]:
    """Maps a function over members; a single member has no axis to map over."""
    if len(rule.members) == 1:
        return lambda function, in_axes: function
    return jax.vmap


def _with_squares(features: Float[Array, "num_features"]) -> Float[Array, "twice_num_features"]:
    """The features and their squares."""
    return jnp.concatenate([features, features**2])


def _updated(before: MeanReward, transition: Transition) -> MeanReward:
    """The mean with the reward before the transition's, now that it shows whether that one ended an episode."""
    counts = before.last_counts * (1.0 - transition.episode_start)
    num_rewards = before.num_rewards + counts
    mean = before.mean + counts * (before.last - before.mean) / jnp.clip(num_rewards, 1.0, REWARD_WINDOW)
    return MeanReward(mean, num_rewards, transition.reward, transition.acted)


def _constant_error(
    mean_reward: MeanReward, discount: Float[Array, "*members"], transition: Transition
) -> Float[Array, "*members"]:
    """How much smaller a TD error is if values hold the constant r̄ / (1 - γ).

    With a next state the constants before and after it differ by r̄. At an episode's end all of it is lost.
    """
    lost = jnp.where(transition.episode_start > 0, 1.0 / (1.0 - discount), 1.0)
    return jnp.where(transition.is_known, lost * mean_reward.mean, 0.0)
