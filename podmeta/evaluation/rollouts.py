"""Rollouts of lifetimes, and their measurements."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from podmeta.inner_loop import Experience, InnerLoop
from podmeta.learners.base import MetaParams

TASKS_PER_BATCH = 250  # lifetimes side by side: enough to fill a device, few enough to fit in memory


class Lifetimes(NamedTuple):
    """Measurements over the lifetimes of many tasks, by env step.

    Attributes:
      rewards: [num_tasks, lifetime_length] the rewards.
      terminations: [num_tasks, lifetime_length] 1 where an episode terminated (not where it was truncated), whether
        that is a failure or a success.
      episode_ends: [num_tasks, lifetime_length] 1 where an episode ended, by termination or truncation.
      regrets: [num_tasks, lifetime_length] expected regret of each action; None if the optimum is unknown.
    """

    rewards: Float[np.ndarray, "num_tasks lifetime_length"]
    terminations: Float[np.ndarray, "num_tasks lifetime_length"]
    episode_ends: Float[np.ndarray, "num_tasks lifetime_length"]
    regrets: Float[np.ndarray, "num_tasks lifetime_length"] | None


def scored_by_failures(lifetimes: Lifetimes) -> Lifetimes:
    """The same lifetimes, as if each termination had cost 1 and nothing else had paid. No optimum is known of that."""
    return lifetimes._replace(rewards=-lifetimes.terminations, regrets=None)


def outer_parts(
    lifetimes: Lifetimes, num_parts: int
) -> tuple[Float[np.ndarray, "num_tasks"], Float[np.ndarray, "num_tasks"]]:
    """Mean reward per env step in the first and last of equal parts of a lifetime, each of at least one env step."""
    steps = max(1, lifetimes.rewards.shape[1] // num_parts)
    return lifetimes.rewards[:, :steps].mean(axis=1), lifetimes.rewards[:, -steps:].mean(axis=1)


def outer_fifths(lifetimes: Lifetimes) -> tuple[Float[np.ndarray, "num_tasks"], Float[np.ndarray, "num_tasks"]]:
    """Mean reward per env step in the first and in the last fifth of a lifetime."""
    return outer_parts(lifetimes, 5)


Rollout = Callable[[MetaParams, Key[Array, "num_tasks"]], Lifetimes]
"""(θ, keys) -> one lifetime per key. The program is compiled once."""


def make_rollout(inner_loop: InnerLoop) -> Rollout:
    """The rollout of lifetimes, in batches of `TASKS_PER_BATCH`, on the default device."""

    @jax.jit
    def program(meta_params: MetaParams, keys: Key[Array, "num_tasks"]) -> tuple[Array, Array, Array, Array | None]:
        return jax.lax.map(lambda key: measure(inner_loop.rollout(meta_params, key)), keys, batch_size=TASKS_PER_BATCH)

    return lambda meta_params, keys: Lifetimes(*jax.tree.map(np.asarray, program(meta_params, keys)))


def measure(experience: Experience) -> tuple[Array, Array, Array, Array | None]:
    """The fields of `Lifetimes`, for one lifetime and still on the device."""
    terminations = experience.episode_end & (experience.discount == 0.0)
    return (
        experience.reward,
        terminations.astype(jnp.float32),
        experience.episode_end.astype(jnp.float32),
        experience.regret,
    )
