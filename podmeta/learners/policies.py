"""Policies: how a learner's output becomes an action.

A categorical over `DiscreteArray` actions, or a diagonal Gaussian over boxes, in which ±1 stand for the ends of a
component's bounds. If a component has only one bound, softplus keeps to it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, PRNGKeyArray

PolicyParameters = Float[Array, "num_actions num_policy_channels"]
Action = Array  # int [] for a categorical, float [num_actions] for a Gaussian
Noise = Array  # what an action owes to chance: [] uniform for a categorical, [num_actions] normal for a Gaussian


class Policy(NamedTuple):
    """Functions of the policy parameters that a learner outputs.

    Attributes:
      num_actions: number of actions, or of action components.
      num_policy_channels: parameters per action.
      noise: key -> the noise of an action.
      choose: (noise, parameters) -> the action for this noise.
      log_prob: (parameters, action) -> [] its log probability (density).
      entropy: parameters -> [] entropy in nats.
      encode: action -> [num_actions] the input of a learner: one-hot, or the components.
      to_environment: action -> the action within the environment's bounds.
    """

    num_actions: int
    num_policy_channels: int
    noise: Callable[[PRNGKeyArray], Noise]
    choose: Callable[[Noise, PolicyParameters], Action]
    log_prob: Callable[[PolicyParameters, Action], Array]
    entropy: Callable[[PolicyParameters], Array]
    encode: Callable[[Action], Float[Array, "num_actions"]]
    to_environment: Callable[[Action], Action]

    def sample(self, key: PRNGKeyArray, parameters: PolicyParameters) -> Action:
        """An action drawn from the policy."""
        return self.choose(self.noise(key), parameters)


def policy_score(parameters: PolicyParameters, action: Float[Array, "num_actions"]) -> PolicyParameters:
    """The direction in which a policy's parameters make an action more likely.

    For a categorical it is the gradient of the log probability by the logits. For a Gaussian it is the gradient by the
    mean in units of the standard deviation, with the distance from the mean clipped to three of them, and by its
    logarithm.

    Args:
      parameters: [num_actions, num_policy_channels] the policy's parameters.
      action: [num_actions] the action, encoded.
    """
    if parameters.shape[1] == 1:
        return action[:, None] - jax.nn.softmax(parameters, axis=0)
    distance = jnp.clip((action - parameters[:, 0]) * jnp.exp(-_log_std(parameters)), -3.0, 3.0)
    return jnp.stack([distance, distance**2 - 1.0], axis=1)


def make_policy(action_spec: specs.DiscreteArray | specs.BoundedArray) -> Policy:
    """The policy for an environment's actions: categorical for discrete ones, Gaussian for a box."""
    if isinstance(action_spec, specs.DiscreteArray):
        return _categorical(action_spec.num_values)
    return _gaussian(action_spec)


def _categorical(num_actions: int) -> Policy:
    def choose(noise: Noise, parameters: PolicyParameters) -> Action:
        # The inverse of the cumulative distribution needs one uniform number; Gumbel noise needs one per action.
        cumulative = jnp.cumsum(jax.nn.softmax(parameters[:, 0]))
        threshold = noise * cumulative[-1]
        return jnp.minimum(jnp.sum(cumulative <= threshold), num_actions - 1)

    def log_prob(parameters: PolicyParameters, action: Action) -> Array:
        return jnp.sum(jax.nn.log_softmax(parameters[:, 0]) * encode(action))

    def entropy(parameters: PolicyParameters) -> Array:
        log_probs = jax.nn.log_softmax(parameters[:, 0])
        return -jnp.sum(jnp.exp(log_probs) * log_probs)

    def encode(action: Action) -> Float[Array, "num_actions"]:
        return jax.nn.one_hot(action, num_actions)

    return Policy(num_actions, 1, jax.random.uniform, choose, log_prob, entropy, encode, lambda action: action)


def _gaussian(action_spec: specs.BoundedArray) -> Policy:
    (num_actions,) = action_spec.shape
    minimum = np.broadcast_to(action_spec.minimum, action_spec.shape).astype(np.float32)
    maximum = np.broadcast_to(action_spec.maximum, action_spec.shape).astype(np.float32)
    has_minimum, has_maximum = np.isfinite(minimum), np.isfinite(maximum)
    bounded, half_bounded = has_minimum & has_maximum, has_minimum ^ has_maximum
    low, high = np.where(bounded, minimum, -1.0), np.where(bounded, maximum, 1.0)
    centre, half_width = 0.5 * low + 0.5 * high, 0.5 * high - 0.5 * low
    one_bound = np.where(has_minimum, minimum, np.where(has_maximum, maximum, 0.0))
    direction = np.where(has_minimum, 1.0, -1.0).astype(np.float32)

    def noise(key: PRNGKeyArray) -> Noise:
        return jax.random.normal(key, (num_actions,))

    def choose(noise: Noise, parameters: PolicyParameters) -> Action:
        return parameters[:, 0] + jnp.exp(_log_std(parameters)) * noise

    def log_prob(parameters: PolicyParameters, action: Action) -> Array:
        mean, log_std = parameters[:, 0], _log_std(parameters)
        standardised = (action - mean) * jnp.exp(-log_std)
        return -jnp.sum(0.5 * standardised**2 + log_std + 0.5 * jnp.log(2.0 * jnp.pi))

    def entropy(parameters: PolicyParameters) -> Array:
        return jnp.sum(_log_std(parameters) + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e))

    def encode(action: Action) -> Float[Array, "num_actions"]:
        return jnp.clip(action, -1.0, 1.0)

    def to_environment(action: Action) -> Action:
        within = jnp.where(bounded, centre + half_width * jnp.clip(action, -1.0, 1.0), action)
        if half_bounded.any():
            # As far from the one bound as softplus says, which is the action itself where that is far.
            beyond = one_bound + direction * jax.nn.softplus(direction * action)
            within = jnp.where(half_bounded, beyond, within)
        return jnp.clip(within, minimum, maximum)  # rounding may lead just past a bound

    return Policy(num_actions, 2, noise, choose, log_prob, entropy, encode, to_environment)


def _log_std(parameters: PolicyParameters) -> Float[Array, "num_actions"]:
    """The log standard deviation, kept within e^±5."""
    return jnp.clip(parameters[:, 1], -5.0, 5.0)
