"""The memory of a symmetric learner with options beyond the paper's equations, from one env step to the next.

The LSTM (a, b) stands for the weight from observation component a to action component b. These options add inputs that
a learning rule for this weight would use: the product of component a of the last observation and the policy's score of
component b of the last action, eligibility traces of this product, how component a changed, and the state of a
hand-written rule. All of them treat the components of observation and action alike, so the learner's symmetries are
kept.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.config.schema import SymmetricConfig
from podmeta.learners.hand_written_base import BASE_RULES, Base, init_base, shared_policy
from podmeta.learners.online_rule import Transition

LARGEST_FEATURE = 3.0  # features without a bound of their own are clipped to ± this
_EFFECT_WINDOW = 200.0  # env steps of the running means of effects
_EFFECT_WARM_UP = 20.0  # actions over which the mean effect is faded in
_EFFECT_SCALE = 4.0  # a mean over many actions is small


class EffectMemory(NamedTuple):
    """Running means of what actions did to observations.

    Attributes:
      size: [A] mean absolute change of each component.
      mean: [A, B] of the effect, the change in units of its size times the score.
      num_actions: [] actions so far.
    """

    size: Float[Array, "A"]
    mean: Float[Array, "A B"]
    num_actions: Float[Array, ""]


class PairMemory(NamedTuple):
    """The memory of a lifetime; parts that the config does not need are None.

    Attributes:
      num_steps: [] env steps so far.
      observation: [A] of the last time step, the constant 1 included.
      policy: [B, num_policy_channels] the policy's parameters at the last time step.
      traces: [num_traces, A, B] eligibility traces.
      effects: what actions did to observations.
      base: the hand-written base.
    """

    num_steps: Float[Array, ""]
    observation: Float[Array, "A"]
    policy: Float[Array, "B num_policy_channels"]
    traces: Float[Array, "num_traces A B"] | None
    effects: EffectMemory | None
    base: Base | None


def init_memory(config: SymmetricConfig, num_inputs: int, num_actions: int, num_policy_channels: int) -> PairMemory:
    """The memory at the start of a lifetime.

    Args:
      config: the learner's config.
      num_inputs: A, the number of observation components, the constant 1 included.
      num_actions: B.
      num_policy_channels: as in the policy.
    """
    pairs = (num_inputs, num_actions)
    return PairMemory(
        num_steps=jnp.zeros(()),
        observation=jnp.zeros(num_inputs),
        policy=jnp.zeros((num_actions, num_policy_channels)),
        traces=jnp.zeros((len(config.pair_traces), *pairs)) if config.pair_traces else None,
        effects=EffectMemory(jnp.zeros(num_inputs), jnp.zeros(pairs), jnp.zeros(())) if config.effect_inputs else None,
        base=init_base(BASE_RULES[config.base], *pairs, num_policy_channels) if config.has_base else None,
    )


def pair_features(
    config: SymmetricConfig, memory: PairMemory, transition: Transition, signal: Float[Array, ""]
) -> tuple[list[Float[Array, "A B"]], PairMemory]:
    """The inputs of the LSTMs for each pair of components, and the next memory.

    Args:
      config: the learner's config.
      memory: the memory; its base has already learned from the transition.
      transition: what the last action led to.
      signal: [] the reward that traces are multiplied by.
    """
    score = transition.score[:, 0] * transition.acted
    product = transition.features[:, None] * score[None, :]
    features = [product] if config.pair_inputs else []
    traces, effects = memory.traces, memory.effects
    if traces is not None:
        decays = jnp.array(config.pair_traces)[:, None, None]
        # In units in which products that are independent from step to step give every trace the same variance.
        traces = decays * traces + jnp.sqrt(1.0 - decays**2) * product
        features += [feature for trace in traces for feature in (trace, trace * signal)]
        traces = (1.0 - transition.episode_start) * traces
    if effects is not None:
        effect, effects = _effect(effects, transition, score)
        confidence = jnp.minimum(effects.num_actions / _EFFECT_WARM_UP, 1.0)
        features += [effect, _EFFECT_SCALE * confidence * effects.mean]
    if memory.base is not None:
        policy = shared_policy(BASE_RULES[config.base], memory.base)
        features += [
            jnp.clip(part[..., 0], -LARGEST_FEATURE, LARGEST_FEATURE)
            for part in (policy.weights, policy.trace, policy.step)
        ]
    return features, memory._replace(traces=traces, effects=effects)


def _effect(
    memory: EffectMemory, transition: Transition, score: Float[Array, "B"]
) -> tuple[Float[Array, "A B"], EffectMemory]:
    """The effect of the last action, and the running means with it."""
    change = transition.acted * (transition.next_features - transition.features)
    num_actions = memory.num_actions + transition.acted
    weight = transition.acted / jnp.clip(num_actions, 1.0, _EFFECT_WINDOW)
    size = memory.size + weight * (jnp.abs(change) - memory.size)
    in_units = change / jnp.where(size > 0, size, 1.0)
    effect = jnp.clip(in_units, -LARGEST_FEATURE, LARGEST_FEATURE)[:, None] * score[None, :]
    mean = memory.mean + weight * (effect - memory.mean)
    return effect, EffectMemory(size, mean, num_actions)
