"""The symmetric learner in its plain form: one LSTM for every weight, straight from the equations.

It computes what `podmeta.learners.symmetric` computes, on the same θ and the same learner state, and shares nothing
between LSTMs: each one makes its own features, projects all of its inputs and makes its own messages, which are then
aggregated. `podmeta bench core` compares the fast form with it, and the tests hold the fast form to it. The
hand-written base beneath is that of `podmeta.learners.hand_written_base`, whose plain form is in the tests.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.config.schema import SymmetricConfig
from podmeta.learners.activations import lstm, make_activation
from podmeta.learners.base import LearnerInput, LearnerOutput, LearnerState, MetaParams
from podmeta.learners.hand_written_base import BASE_RULES, learn_base, shared_policy
from podmeta.learners.online_rule import RuleNumbers, Transition
from podmeta.learners.pair_memory import EffectMemory, PairMemory
from podmeta.learners.symmetric import LayerState, RememberingState


class Cell(NamedTuple):
    """What one LSTM keeps, and sends: of its own where it is alone, [A, B, ...] where it stands for a whole layer.

    Attributes:
      hidden: [hidden_size] hidden state.
      cell: [hidden_size] cell.
      forward: [message_size] its message to its output b, F_θ(hidden).
      backward: [message_size] its message to its input a, G_θ(hidden).
      readout: [2] its part of the policy's parameters, where the read-out is multiplicative; else zeros.
    """

    hidden: Float[Array, "*A_B hidden_size"]
    cell: Float[Array, "*A_B hidden_size"]
    forward: Float[Array, "*A_B message_size"]
    backward: Float[Array, "*A_B message_size"]
    readout: Float[Array, "*A_B 2"]


class Shown(NamedTuple):
    """What the LSTMs of one layer are shown by the env step.

    Attributes:
      from_below: [A, message_size] forward messages of the layer below, or the observation in their first channel.
      from_above: [B, message_size] backward messages of the layer above, or the action in their first channels.
      scalars: [num_scalars] what every LSTM is shown.
      pairs: [A, B, num_features] what each LSTM is shown of its own pair.
      observation: [A] that the read-out multiplies by.
      permanent: [B, num_policy_channels] what the hand-written base adds to the policy; None for none.
      share: [] of the LSTMs in the policy beside it.
    """

    from_below: Float[Array, "A message_size"]
    from_above: Float[Array, "B message_size"]
    scalars: Float[Array, "num_scalars"]
    pairs: Float[Array, "A B num_features"]
    observation: Float[Array, "A"]
    permanent: Float[Array, "B num_policy_channels"] | None
    share: Float[Array, ""] | float


def plain_step(
    config: SymmetricConfig,
    num_policy_channels: int,
    meta_params: MetaParams,
    state: LearnerState,
    learner_input: LearnerInput,
) -> tuple[LearnerOutput, LearnerState]:
    """One env step: what `make_symmetric_learner(...).step` does, in its plain form, on rewards already normalised.

    Args:
      config: the learner's config.
      num_policy_channels: 1 for logits, 2 for mean and log standard deviation.
      meta_params: θ, of whole matrices.
      state: the learner state, within that of normalised rewards.
      learner_input: the learner's input.

    Returns:
      The output and the next learner state.
    """
    if config.has_memory:
        return _step_with_memory(config, num_policy_channels, meta_params, state, learner_input)
    observation = learner_input.observation.reshape(-1)
    scalars = _scalars(config, learner_input)
    above = _in_first_channels(learner_input.previous_action[:, None], config.message_size)
    no_pairs = jnp.zeros((observation.size, above.shape[0], 0))
    layers = _ticks(config, num_policy_channels, meta_params, state, observation, above, scalars, no_pairs, None, 1.0)
    return _output(num_policy_channels, meta_params, layers), layers


def _step_with_memory(
    config: SymmetricConfig,
    num_policy_channels: int,
    meta_params: MetaParams,
    state: RememberingState,
    learner_input: LearnerInput,
) -> tuple[LearnerOutput, RememberingState]:
    """The same with the options that need a memory."""
    theta = meta_params["symmetric"]
    layer, memory = state.layers[0], state.memory
    observation = learner_input.observation.reshape(-1)
    if config.constant_observation:
        observation = jnp.append(observation, 1.0)
    start = learner_input.episode_start
    acted = jnp.where(memory.num_steps > 0, 1.0 - start, 0.0)
    if num_policy_channels == 1:
        score = learner_input.previous_action[:, None] - jax.nn.softmax(memory.policy, axis=0)
    else:
        std = jnp.exp(jnp.clip(memory.policy[:, 1], -5.0, 5.0))
        distance = jnp.clip((learner_input.previous_action - memory.policy[:, 0]) / std, -3.0, 3.0)
        score = jnp.stack([distance, distance**2 - 1.0], axis=1)
    transition = Transition(memory.observation, score, observation, learner_input.reward, start, memory.num_steps > 0)

    scalars = _scalars(config, learner_input)
    if config.critic:
        scalars = jnp.append(scalars, _critic_error(theta, layer, transition))
    base, permanent, share = memory.base, None, jnp.ones(())
    if base is not None:
        deviations = jnp.stack([theta[f"base_{name}"] for name in RuleNumbers._fields])
        if config.adaptive_base:
            deviations = deviations + jnp.mean(layer.hidden, axis=(0, 1)) @ theta["base_setting"]
        rule = BASE_RULES[config.base]
        base, error = learn_base(rule, RuleNumbers(*deviations), base, transition, memory.num_steps)
        scalars = jnp.append(scalars, jnp.clip(error, -3.0, 3.0))
        permanent = jnp.sum(observation[:, None, None] * shared_policy(rule, base).weights, axis=0)
        fade = 0.002 * jnp.exp(5.0 * theta["readout_fade"]) * memory.num_steps
        share = 2.0 * jnp.exp(5.0 * theta["readout_share"]) / (1.0 + fade)

    pairs, traces, effects = _pairs(config, memory._replace(base=base), transition, acted, learner_input)
    above = learner_input.previous_action[:, None]
    if config.policy_input:
        above = jnp.concatenate([above, acted * score[:, :1]], axis=1)
    above = _in_first_channels(above, config.message_size)
    layers = _ticks(
        config, num_policy_channels, meta_params, state.layers, observation, above, scalars, pairs, permanent, share
    )
    output = _output(num_policy_channels, meta_params, layers)
    if permanent is not None:
        output = output._replace(learned_policy=(output.policy - permanent) / share)
    return output, RememberingState(
        layers, PairMemory(memory.num_steps + 1.0, observation, output.policy, traces, effects, base)
    )


def _pairs(
    config: SymmetricConfig,
    memory: PairMemory,
    transition: Transition,
    acted: Float[Array, ""],
    learner_input: LearnerInput,
) -> tuple[Float[Array, "A B num_features"], Array | None, EffectMemory | None]:
    """The inputs of every LSTM about its pair, and its memory of it, computed for one pair at a time."""
    num_inputs, num_actions = transition.features.size, transition.score.shape[0]
    signal = learner_input.reward if learner_input.centred_reward is None else learner_input.centred_reward
    every = [
        [_one_pair(config, memory, transition, acted, signal, a, b) for b in range(num_actions)]
        for a in range(num_inputs)
    ]
    features = jnp.array([[pair[0] for pair in row] for row in every])
    traces = effects = None
    if memory.traces is not None:
        traces = jnp.moveaxis(jnp.array([[pair[1] for pair in row] for row in every]), -1, 0)
    if memory.effects is not None:
        effects = EffectMemory(
            size=jnp.array([row[0][2] for row in every]),
            mean=jnp.array([[pair[3] for pair in row] for row in every]),
            num_actions=memory.effects.num_actions + acted,
        )
    return features.reshape(num_inputs, num_actions, -1), traces, effects


def _one_pair(
    config: SymmetricConfig,
    memory: PairMemory,
    transition: Transition,
    acted: Float[Array, ""],
    signal: Float[Array, ""],
    a: int,
    b: int,
) -> tuple[list[Array], list[Array], Array | None, Array | None]:
    """The features of one pair, its traces, the size of its component's changes and its mean effect."""
    score = acted * transition.score[b, 0]
    product = transition.features[a] * score
    features = [product] if config.pair_inputs else []
    traces, size, mean = [], None, None
    for decay, old_traces in zip(config.pair_traces, memory.traces if memory.traces is not None else (), strict=True):
        trace = decay * old_traces[a, b] + (1.0 - decay**2) ** 0.5 * product
        features += [trace, trace * signal]
        traces.append((1.0 - transition.episode_start) * trace)
    if memory.effects is not None:
        num_actions = memory.effects.num_actions + acted
        weight = acted / jnp.clip(num_actions, 1.0, 200.0)
        change = acted * (transition.next_features[a] - transition.features[a])
        size = memory.effects.size[a] + weight * (jnp.abs(change) - memory.effects.size[a])
        effect = jnp.clip(change / jnp.where(size > 0, size, 1.0), -3.0, 3.0) * score
        mean = memory.effects.mean[a, b] + weight * (effect - memory.effects.mean[a, b])
        features += [effect, 4.0 * jnp.minimum(num_actions / 20.0, 1.0) * mean]
    if memory.base is not None:
        policy = shared_policy(BASE_RULES[config.base], memory.base)
        features += [jnp.clip(part[a, b, 0], -3.0, 3.0) for part in (policy.weights, policy.trace, policy.step)]
    return features, traces, size, mean


def _critic_error(theta: MetaParams, layer: LayerState, transition: Transition) -> Float[Array, ""]:
    """The TD error of the value that is read out of the LSTMs."""

    def value(observation: Float[Array, "A"]) -> Float[Array, ""]:
        each = jax.vmap(jax.vmap(lambda hidden: hidden @ theta["critic"][:, 0]))(layer.hidden)
        return jnp.sum(observation[:, None] * each) / each.shape[1]

    discount = 1.0 - jnp.minimum(0.1 * jnp.exp(5.0 * theta["critic_horizon"]), 1.0)
    target = jnp.where(
        transition.episode_start > 0, 0.0, transition.reward + discount * value(transition.next_features)
    )
    error = target - value(transition.features)
    return jnp.where(transition.is_known, jnp.clip(error, -3.0, 3.0), 0.0)


def _scalars(config: SymmetricConfig, learner_input: LearnerInput) -> Float[Array, "num_scalars"]:
    scalars = [learner_input.reward]
    scalars += [] if learner_input.centred_reward is None else [learner_input.centred_reward]
    scalars += [learner_input.episode_start] if config.episode_start_input else []
    return jnp.stack(scalars)


def _ticks(
    config: SymmetricConfig,
    num_policy_channels: int,
    meta_params: MetaParams,
    layers: tuple[LayerState, ...],
    observation: Float[Array, "A"],
    above: Float[Array, "B message_size"],
    scalars: Float[Array, "num_scalars"],
    pairs: Float[Array, "A B num_features"],
    permanent: Float[Array, "B num_policy_channels"] | None,
    share: Float[Array, ""] | float,
) -> tuple[LayerState, ...]:
    """All ticks of all layers."""
    below = _in_first_channels(observation[:, None], config.message_size)
    states = list(layers)
    for _ in range(config.num_micro_ticks):
        for k in range(len(states)):
            from_below = states[k - 1].forward if k > 0 else below
            from_above = states[k + 1].backward if k + 1 < len(states) else above
            shape = (from_below.shape[0], from_above.shape[0], pairs.shape[-1])
            own = pairs if len(states) == 1 else jnp.zeros(shape)
            shown = Shown(from_below, from_above, scalars, own, observation, permanent, share)
            states[k] = _tick(config, num_policy_channels, meta_params, states[k], shown)
    return tuple(states)


def _output(num_policy_channels: int, meta_params: MetaParams, layers: tuple[LayerState, ...]) -> LearnerOutput:
    value_head = meta_params["symmetric/value"]
    value = jnp.mean(layers[-1].hidden, axis=(0, 1)) @ value_head["w"] + value_head["b"]
    return LearnerOutput(layers[-1].forward[:, :num_policy_channels], value[0])


def _tick(
    config: SymmetricConfig, num_policy_channels: int, meta_params: MetaParams, layer: LayerState, shown: Shown
) -> LayerState:
    """Every LSTM of a layer by itself, then the aggregation of their messages."""
    one = partial(_one_lstm, config, meta_params["symmetric"])
    over_outputs = jax.vmap(one, in_axes=(0, 0, None, None, 0, 0, None, 0))
    over_both = jax.vmap(over_outputs, in_axes=(0, 0, 0, 0, None, None, None, 0))
    cells = over_both(
        layer.hidden,
        layer.cell,
        layer.backward,
        shown.from_below,
        layer.forward,
        shown.from_above,
        shown.scalars,
        shown.pairs,
    )
    sum_forward = config.aggregation in ("sum", "sum_forward")
    sum_backward = config.aggregation == "sum"
    forward = jnp.sum(cells.forward, axis=0) if sum_forward else jnp.mean(cells.forward, axis=0)
    policy = forward[:, :num_policy_channels]
    if config.multiplicative_readout:
        policy = jnp.sum(shown.observation[:, None, None] * cells.readout, axis=0)[:, :num_policy_channels]
    if shown.permanent is not None:
        policy = shown.permanent + shown.share * policy
    return LayerState(
        hidden=cells.hidden,
        cell=cells.cell,
        forward=forward.at[:, :num_policy_channels].set(policy),
        backward=jnp.sum(cells.backward, axis=1) if sum_backward else jnp.mean(cells.backward, axis=1),
    )


def _one_lstm(
    config: SymmetricConfig,
    matrices: MetaParams,
    hidden: Float[Array, "hidden_size"],
    cell: Float[Array, "hidden_size"],
    backward: Float[Array, "message_size"],
    from_below: Float[Array, "message_size"],
    forward: Float[Array, "message_size"],
    from_above: Float[Array, "message_size"],
    scalars: Float[Array, "num_scalars"],
    pair: Float[Array, "num_features"],
) -> Cell:
    """f_θ, F_θ and G_θ of one LSTM."""
    inputs = jnp.concatenate([hidden, backward, from_below, forward, scalars, from_above, pair])
    parts = [matrices["recurrent"], matrices["ascending"], matrices["descending"]]
    parts += [matrices["pair"]] if pair.size else []
    gates = inputs @ jnp.concatenate(parts) + matrices["bias"]
    hidden, cell = lstm(gates, cell, make_activation(config.activation), config.forget_bias, config.input_bias)
    readout = hidden @ matrices["readout"] if config.multiplicative_readout else jnp.zeros(2)
    return Cell(hidden, cell, hidden @ matrices["forward"], hidden @ matrices["backward"], readout)


def _in_first_channels(messages: Float[Array, "num_components channels"], message_size: int) -> Array:
    """Messages [num_components, message_size] of zeros but for the first channels."""
    return jnp.pad(messages, ((0, 0), (0, message_size - messages.shape[1])))
