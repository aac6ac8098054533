"""Targets of actor-critic's values, and advantages of actions: V-trace around episode ends.

Every value that a return is bootstrapped from has its own target. With λ = 1, and for the θ that acted, the target
of step t with reward r_t and successor t + 1 is, with `discount_across_episodes`,

    V(t) = r_t + γ V(t + 1)    at every step, episode ends and resets included, up to the lifetime's end

and without it

    V(t) = r_t + γ V(t + 1)    where step t does not end the episode
    V(t) = r_t                 where step t terminates the episode
    V(t) = r_t + γ V(L)        where step t truncates the episode at L; V(L) is the estimate, whatever follows L
    V(L) = V(F)                at the truncated last observation L, where F is the next episode's first observation

Why V(L) = V(F). The equations of the steps before L leave V(L) open: V(s) = Σ γ^k r + γ^n V(L) solves them for any
V(L). A learner with a memory can tell L from all other steps, so nothing else determines V(L) either. What would have
followed L is never seen. What is seen next is another episode on the same task, so V(L) is taken to be the return from
there, undiscounted because an episode that was not cut needs no reset. With a reward of r at every step all values
then are r / (1 − γ), which is what they would be without a time limit. A learner without a memory sees the same
observation at other steps too, and there V(L) has the usual targets as well.

Nothing is bootstrapped from a terminated last observation without `discount_across_episodes`, so it has no value.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from podmeta.config.schema import ActorCriticConfig
from podmeta.inner_loop import Experience


def targets_and_advantages(
    config: ActorCriticConfig,
    values: Float[Array, "num_values"],
    ratios: Float[Array, "unroll_length"],
    experience: Experience,
    lifetime_end: Bool[Array, ""],
) -> tuple[Float[Array, "unroll_length"], Float[Array, "unroll_length"]]:
    """V-trace targets of the values, and advantages of the actions, of one trajectory.

    Args:
      config: γ, λ, the clip of ratios, and whether returns continue across episode ends.
      values: [unroll_length + 1] value estimates.
      ratios: [unroll_length] probability of each action under the θ that learns over that under the one that acted.
      experience: [unroll_length, ...] what happened.
      lifetime_end: [] whether the lifetime ends after the last env step.

    Returns:
      Targets and advantages, each [unroll_length]. Targets count only where `has_value` says so, advantages only where
      an action was not ignored. Advantages include V-trace's clipped ratio, except for PPO, which does its own
      clipping.
    """
    import rlax  # takes a second (it brings TensorFlow Probability), which evolution should not wait for

    if config.discount_across_episodes:
        is_final = jnp.arange(experience.reward.shape[0]) == experience.reward.shape[0] - 1
        discounts = jnp.where(lifetime_end & is_final, 0.0, config.discount)
        rewards = experience.reward
        lambdas = jnp.full_like(discounts, config.td_lambda)
    else:
        ignored = experience.action_ignored
        after_reset = experience.follows_truncation.astype(experience.discount.dtype)
        discounts = jnp.where(ignored, after_reset, config.discount * experience.discount)
        rewards = jnp.where(ignored, 0.0, experience.reward)
        lambdas = jnp.where(experience.episode_end, 0.0, config.td_lambda)
    traced = rlax.vtrace_td_error_and_advantage(
        values[:-1],
        values[1:],
        rewards,
        discounts,
        ratios,
        lambda_=lambdas,
        clip_rho_threshold=config.clip_ratio,
        clip_pg_rho_threshold=config.clip_ratio,
    )
    advantages = traced.q_estimate - values[:-1] if config.ppo_clip > 0 else traced.pg_advantage
    return traced.errors + values[:-1], advantages


def has_value(config: ActorCriticConfig, experience: Experience) -> Float[Array, "..."]:
    """1 where the value of a step is trained, else 0, of the shape of `experience.reward`."""
    if config.discount_across_episodes:
        return jnp.ones_like(experience.reward)
    return 1.0 - (experience.action_ignored & ~experience.follows_truncation).astype(experience.reward.dtype)
