"""What learns inside a lifetime: the interface of a black-box learner.

A learner is three pure functions of (θ, learner state, input), and optionally one for many inputs at once. It depends
on no environment, device or outer loop. Everything is unbatched; callers add batch axes with `vmap`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, UInt8

MetaParams: TypeAlias = PyTree  # θ: nested dictionaries of arrays, the learning algorithm
LearnerState: TypeAlias = PyTree  # a pytree of arrays: what changes inside a lifetime, and holds the policy


class LearnerInput(NamedTuple):
    """A learner's input at one env step.

    Attributes:
      observation: [...] the observation, with the environment's shape; numbers, or bytes of an image or a memory.
      previous_action: [num_actions] the previous action, one-hot or continuous; zeros at an episode start.
      reward: [] the reward that action earned.
      episode_start: [] 1 if an episode has just begun, else 0.
      centred_reward: [] the reward's distance from the running mean, which `with_normalised_rewards` adds; else None.
    """

    observation: Float[Array, "..."] | UInt8[Array, "..."]
    previous_action: Float[Array, "num_actions"]
    reward: Float[Array, ""]
    episode_start: Float[Array, ""]
    centred_reward: Float[Array, ""] | None = None


def as_numbers(observation: Float[Array, "..."] | UInt8[Array, "..."]) -> Float[Array, "..."]:
    """The observation as input of a network: bytes of images or memory become numbers in [0, 1]."""
    return observation / 255.0 if observation.dtype == jnp.uint8 else observation


class LearnerOutput(NamedTuple):
    """A learner's output at one env step.

    Attributes:
      policy: [num_actions, num_policy_channels] the policy's parameters. One channel: logits of a categorical.
        Two channels: mean and log standard deviation of a diagonal Gaussian.
      value: [] estimate of the discounted return, which only the actor-critic outer loop uses.
      learned_policy: [num_actions, num_policy_channels] the policy's parameters without its permanent term, in units of
        the learned part; None if there is no such term.
    """

    policy: Float[Array, "num_actions num_policy_channels"]
    value: Float[Array, ""]
    learned_policy: Float[Array, "num_actions num_policy_channels"] | None = None


class Learner(NamedTuple):
    """A learner for one size of observation and action.

    Attributes:
      init: key -> θ, freshly drawn.
      initial_state: (θ, key) -> the learner state when a lifetime starts.
      step: (θ, learner state, input) -> (output, next learner state).
      unroll: (θ, learner state, inputs [num_steps, ...]) -> (outputs [num_steps, ...], learner state after them), equal
        to a scan of `step` but faster; None without one. All inputs belong to one lifetime, and may span episodes.
    """

    init: Callable[[PRNGKeyArray], MetaParams]
    initial_state: Callable[[MetaParams, PRNGKeyArray], LearnerState]
    step: Callable[[MetaParams, LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]]
    unroll: Callable[[MetaParams, LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]] | None = None
