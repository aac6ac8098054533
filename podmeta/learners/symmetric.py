"""The symmetric learner, SymLA (Kirsch et al., AAAI 2022, arXiv 2109.10781).

In a dense network with K layers, a small LSTM takes the place of every weight. All LSTMs share one θ. They exchange
messages: forward along the layer's outputs b, and backward along its inputs a. One tick of layer k is

    h_ab <- f_θ(h_ab, from_below_a, from_above_b, scalars, forward_b, backward_a)
    forward_b  = aggregate over a of F_θ(h_ab)
    backward_a = aggregate over b of G_θ(h_ab)

where the inputs forward_b and backward_a are the layer's own messages of the previous tick. θ has the same shapes for
every number of observations and actions, and a permutation of either permutes the learner with it.

The fast form. The input projection of f is linear, so it is computed once per node (A + B products) and broadcast over
the A x B LSTMs. F and G are linear, so they are applied after the aggregation. Only the hidden-to-hidden product is
computed for every LSTM. The tests compare this form with the plain one, podmeta.benchmarks.plain_symmetric.

Options add to these equations, for one layer (K = 1): further inputs of the LSTMs (`pair_memory`), a multiplicative
read-out of the policy, a critic, and a hand-written base (`hand_written_base`) as a permanent term of the policy,

    logit_b = base_b + κ_n Σ_a observation_a G(h_ab)

where κ_n fades over the lifetime. All numbers of the base, κ and its fade are part of θ.
"""

import itertools
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.config.schema import SymmetricConfig
from podmeta.errors import InputError
from podmeta.learners.activations import lstm, make_activation
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams, as_numbers
from podmeta.learners.hand_written_base import BASE_RULES, Base, learn_base, shared_policy
from podmeta.learners.linear import Linear, get_matrix, leading_rows, matmul
from podmeta.learners.online_rule import DEVIATION_SCALE, RuleNumbers, Transition, last_transition
from podmeta.learners.pair_memory import LARGEST_FEATURE, PairMemory, init_memory, pair_features

_SHARE = 2.0  # of the LSTMs at the first env step, before θ changes it
_FADE = 0.002  # per env step, before θ changes it: the LSTMs help at first, and the base goes on learning
_CRITIC_HORIZON_RATE = 0.1  # 1 - discount of the critic, before θ changes it


class LayerState(NamedTuple):
    """The state of one layer with A inputs and B outputs. All but the hidden state is float32.

    Attributes:
      hidden: [A, B, hidden_size] hidden state of every LSTM. Its type is that of the layer's activations.
      cell: [A, B, hidden_size] cell of every LSTM.
      forward: [B, message_size] the layer's last forward message.
      backward: [A, message_size] the layer's last backward message.
    """

    hidden: Float[Array, "A B hidden_size"]
    cell: Float[Array, "A B hidden_size"]
    forward: Float[Array, "B message_size"]
    backward: Float[Array, "A message_size"]


class RememberingState(NamedTuple):
    """The state of a learner with options that need a memory. Without them, the state is `layers` alone.

    Attributes:
      layers: the states of all layers.
      memory: the memory of the options.
    """

    layers: tuple[LayerState, ...]
    memory: PairMemory


class Surroundings(NamedTuple):
    """The inputs of a tick besides the layer and its neighbours. They are the same at every tick of an env step.

    Attributes:
      scalars: [num_scalars] inputs of every LSTM.
      pairs: [A, B, num_features] inputs of each LSTM about its own pair of components; None without such options.
      observation: [A] for the multiplicative read-out.
      permanent: [B, num_policy_channels] the permanent term of the policy, if it has one.
      share: [] κ, the share of the LSTMs in a policy with a permanent term.
    """

    scalars: Float[Array, "num_scalars"]
    pairs: Float[Array, "A B num_features"] | None
    observation: Float[Array, "A"]
    permanent: Float[Array, "B num_policy_channels"] | None
    share: Float[Array, ""]


def make_symmetric_learner(
    config: SymmetricConfig,
    observation_size: int,
    num_actions: int,
    num_policy_channels: int,
    dtype: str = "float32",
) -> Learner:
    """Builds the symmetric learner for one size of observation and action.

    Args:
      config: the learner's config.
      observation_size: A, the number of observation components (an observation of any shape is flattened).
      num_actions: B, the number of action components.
      num_policy_channels: 1 for logits, 2 for mean and log standard deviation.
      dtype: the type of activations: the hidden states and gates of all LSTMs, and what they are computed from.
        Cells, messages, the options' memory, policy and value are float32.

    Returns:
      The learner. Its θ fits every other observation_size and num_actions, and every hidden_layers.

    Raises:
      InputError: options do not go together.
    """
    _check_options(config)
    num_inputs = observation_size + config.constant_observation
    sizes = [num_inputs, *config.hidden_layers, num_actions]

    def network(state: LearnerState, learner_input: LearnerInput) -> tuple[LearnerOutput, LearnerState]:
        return SymmetricNetwork(config, num_policy_channels)(state, learner_input)

    transformed: hk.Transformed = hk.without_apply_rng(hk.transform(network))

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> LearnerState:
        del meta_params
        keys = jax.random.split(key, len(sizes) - 1)
        pairs = itertools.pairwise(sizes)
        layers = tuple(_init_layer(config, dtype, k, a, b) for k, (a, b) in zip(keys, pairs, strict=True))
        if not config.has_memory:
            return layers
        return RememberingState(layers, init_memory(config, num_inputs, num_actions, num_policy_channels))

    def init(key: PRNGKeyArray) -> MetaParams:
        nothing = LearnerInput(
            observation=jnp.zeros(observation_size),
            previous_action=jnp.zeros(num_actions),
            reward=jnp.zeros(()),
            episode_start=jnp.zeros(()),
            centred_reward=jnp.zeros(()) if config.normalise_rewards else None,
        )
        return transformed.init(key, initial_state(None, key), nothing)

    return Learner(init, initial_state, transformed.apply)


def without_lstms(meta_params: MetaParams) -> MetaParams:
    """θ whose policy is its hand-written base alone: the LSTMs have no share in it, and do not set the base's numbers.

    Args:
      meta_params: θ of a learner with a hand-written base.
    """
    silenced = ("readout", "forward", "base_setting")
    module = meta_params["symmetric"]
    return meta_params | {
        "symmetric": {name: jnp.zeros_like(leaf) if name in silenced else leaf for name, leaf in module.items()}
    }


def _check_options(config: SymmetricConfig) -> None:
    """Raises an InputError where options do not go together."""
    if config.has_memory and config.hidden_layers:
        raise InputError(
            "learner.hidden_layers must be [] with pair_inputs, pair_traces, effect_inputs, policy_input, "
            "constant_observation, multiplicative_readout, critic or base: they belong to a single layer, between "
            "observation and action"
        )
    if config.adaptive_base and not config.has_base:
        raise InputError("learner.adaptive_base=true has no base to adapt: set learner.base=multi_horizon")


class SymmetricNetwork(hk.Module):
    """One env step of the symmetric learner: `num_micro_ticks` ticks of all layers."""

    def __init__(self, config: SymmetricConfig, num_policy_channels: int):
        super().__init__(name="symmetric")
        self.config = config
        self.num_policy_channels = num_policy_channels
        self.activation = make_activation(config.activation)

    def __call__(self, state: LearnerState, learner_input: LearnerInput) -> tuple[LearnerOutput, LearnerState]:
        """Takes the state and the input of one env step; returns the output and the next state."""
        step = self._step_with_memory if self.config.has_memory else self._step
        return step(state, learner_input)

    @hk.transparent
    def _step(
        self, state: tuple[LayerState, ...], learner_input: LearnerInput
    ) -> tuple[LearnerOutput, tuple[LayerState, ...]]:
        """An env step by the paper's equations."""
        observation = as_numbers(learner_input.observation).reshape(-1)
        surroundings = Surroundings(_scalars(self.config, learner_input), None, observation, None, jnp.ones(()))
        layers = self._ticks(state, learner_input.previous_action.reshape(-1, 1), surroundings)
        return self._output(layers), layers

    @hk.transparent
    def _step_with_memory(
        self, state: RememberingState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, RememberingState]:
        """An env step with options that need a memory."""
        config, (layers, memory) = self.config, state
        observation = as_numbers(learner_input.observation).reshape(-1)
        if config.constant_observation:
            observation = jnp.append(observation, 1.0)
        scalars = _scalars(config, learner_input)
        signal = learner_input.reward if learner_input.centred_reward is None else learner_input.centred_reward
        transition = last_transition(memory.observation, memory.policy, memory.num_steps, observation, learner_input)
        permanent, share = None, jnp.ones(())
        if config.critic:
            scalars = jnp.append(scalars, self._critic_error(layers[0], transition))
        if memory.base is not None:
            base, error = self._learn_base(memory.base, layers[0], transition, memory.num_steps)
            scalars = jnp.append(scalars, jnp.clip(error, -LARGEST_FEATURE, LARGEST_FEATURE))
            permanent = shared_policy(BASE_RULES[config.base], base).parameters(observation)
            share = self._share(memory.num_steps)
            memory = memory._replace(base=base)
        features, memory = pair_features(config, memory, transition, signal)
        above = learner_input.previous_action[:, None]
        if config.policy_input:
            above = jnp.append(above, transition.acted * transition.score[:, :1], axis=1)

        pairs = jnp.stack(features, axis=-1) if features else None
        layers = self._ticks(layers, above, Surroundings(scalars, pairs, observation, permanent, share))
        output = self._output(layers)
        if permanent is not None:
            output = output._replace(learned_policy=(output.policy - permanent) / share)
        memory = memory._replace(num_steps=memory.num_steps + 1.0, observation=observation, policy=output.policy)
        return output, RememberingState(layers, memory)

    def _ticks(
        self, layers: tuple[LayerState, ...], from_action: Float[Array, "B above_channels"], surroundings: Surroundings
    ) -> tuple[LayerState, ...]:
        """All ticks of an env step."""
        states = list(layers)
        for _ in range(self.config.num_micro_ticks):
            for k, layer in enumerate(states):
                from_below = surroundings.observation[:, None] if k == 0 else states[k - 1].forward
                from_above = from_action if k == len(states) - 1 else states[k + 1].backward
                states[k] = self._tick(layer, from_below, from_above, surroundings)
        return tuple(states)

    @hk.transparent
    def _output(self, layers: tuple[LayerState, ...]) -> LearnerOutput:
        mean_hidden = jnp.mean(layers[-1].hidden, axis=(0, 1), dtype=jnp.float32)
        value = Linear(1, name="value")(mean_hidden)[0]
        return LearnerOutput(layers[-1].forward[:, : self.num_policy_channels], value)

    def _tick(
        self,
        layer: LayerState,
        from_below: Float[Array, "A below_channels"],
        from_above: Float[Array, "B above_channels"],
        surroundings: Surroundings,
    ) -> LayerState:
        """One tick of one layer. At the network's ends only the first channels of a message exist and are projected."""
        scalars, pairs = surroundings.scalars, surroundings.pairs
        hidden_size, message_size = self.config.hidden_size, self.config.message_size
        num_gates = 4 * hidden_size
        num_ascending = 2 * message_size
        num_descending = 2 * message_size + scalars.size
        fan_in = hidden_size + num_ascending + num_descending + (0 if pairs is None else pairs.shape[-1])

        # The scalars ride on the output side, so that they need no product of their own.
        dtype = layer.hidden.dtype
        at_inputs = jnp.concatenate([layer.backward, from_below], axis=1).astype(dtype)
        repeated_scalars = jnp.broadcast_to(scalars, (from_above.shape[0], scalars.size))
        at_outputs = jnp.concatenate([layer.forward, repeated_scalars, from_above], axis=1).astype(dtype)

        ascending = get_matrix("ascending", num_ascending, num_gates, fan_in)
        descending = get_matrix("descending", num_descending, num_gates, fan_in)
        recurrent = get_matrix("recurrent", hidden_size, num_gates, fan_in)
        bias = hk.get_parameter("bias", (num_gates,), init=jnp.zeros)
        per_input = matmul(at_inputs, leading_rows(ascending, at_inputs.shape[1]))
        per_output = matmul(at_outputs, leading_rows(descending, at_outputs.shape[1])) + bias.astype(dtype)
        gates = matmul(layer.hidden, recurrent) + per_input[:, None] + per_output[None, :]
        if pairs is not None:
            gates = gates + matmul(pairs.astype(dtype), get_matrix("pair", pairs.shape[-1], num_gates, fan_in))
        hidden, cell = lstm(gates, layer.cell, self.activation, self.config.forget_bias, self.config.input_bias)

        over_inputs, over_outputs = AGGREGATIONS[self.config.aggregation]
        to_outputs = over_inputs(hidden, axis=0, dtype=jnp.float32)
        forward = matmul(to_outputs, get_matrix("forward", hidden_size, message_size))
        to_inputs = over_outputs(hidden, axis=1, dtype=jnp.float32)
        backward = matmul(to_inputs, get_matrix("backward", hidden_size, message_size))
        return LayerState(hidden, cell, self._with_policy(forward, hidden, surroundings), backward)

    def _with_policy(
        self, forward: Float[Array, "B message_size"], hidden: Float[Array, "A B hidden_size"], around: Surroundings
    ) -> Float[Array, "B message_size"]:
        """The forward message, whose first channels are the policy's parameters, as the options have them."""
        if around.permanent is None and not self.config.multiplicative_readout:
            return forward
        num_channels = self.num_policy_channels
        policy = forward[:, :num_channels]
        if self.config.multiplicative_readout:
            # θ has both channels whatever the policy, so that it fits discrete and continuous actions alike.
            readout = get_matrix("readout", hidden.shape[-1], 2)
            observation = around.observation.astype(hidden.dtype)
            total = jnp.einsum("a,abh->bh", observation, hidden, preferred_element_type=jnp.float32)
            policy = matmul(total, readout)[:, :num_channels]
        if around.permanent is not None:
            policy = around.permanent + around.share * policy
        return jnp.concatenate([policy, forward[:, num_channels:]], axis=1)

    def _critic_error(self, layer: LayerState, transition: Transition) -> Float[Array, ""]:
        """The TD error of the value that is read out of the LSTMs as they were before this env step."""
        mean_hidden = jnp.mean(layer.hidden, axis=1, dtype=jnp.float32)
        projected = matmul(mean_hidden, get_matrix("critic", self.config.hidden_size, 1))[:, 0]
        rate = _CRITIC_HORIZON_RATE * jnp.exp(DEVIATION_SCALE * _number("critic_horizon"))
        after = transition.reward + (1.0 - jnp.minimum(rate, 1.0)) * jnp.dot(transition.next_features, projected)
        error = (1.0 - transition.episode_start) * after - jnp.dot(transition.features, projected)
        return jnp.clip(transition.is_known * error, -LARGEST_FEATURE, LARGEST_FEATURE)

    def _learn_base(
        self, base: Base, layer: LayerState, transition: Transition, num_steps: Float[Array, ""]
    ) -> tuple[Base, Float[Array, ""]]:
        """The base after it has learned from the transition, and its TD error."""
        deviations = jnp.stack([_number(f"base_{name}") for name in RuleNumbers._fields])
        if self.config.adaptive_base:
            shape = (self.config.hidden_size, len(RuleNumbers._fields))
            setting = hk.get_parameter("base_setting", shape, init=jnp.zeros)
            deviations = deviations + matmul(jnp.mean(layer.hidden, axis=(0, 1), dtype=jnp.float32), setting)
        learned = learn_base(BASE_RULES[self.config.base], RuleNumbers(*deviations), base, transition, num_steps)
        # Gradients through a base that divides by running root mean squares explode. Evolution tunes its numbers.
        return jax.lax.stop_gradient(learned)

    def _share(self, num_steps: Float[Array, ""]) -> Float[Array, ""]:
        """κ, the share of the LSTMs in the policy: 2 at the first env step unless θ says otherwise, then fading.

        Both were chosen on tasks that were left out of training; with a share of 1 the LSTMs help less. Evolution tunes
        both. Gradients would take the fade away, because the LSTMs know the tasks of training better than those that
        they will meet, and would raise the share faster than the read-out that it multiplies.
        """
        share, fade = jax.lax.stop_gradient((_number("readout_share"), _number("readout_fade")))
        return _SHARE * jnp.exp(DEVIATION_SCALE * share) / (1.0 + _FADE * jnp.exp(DEVIATION_SCALE * fade) * num_steps)


def _number(name: str) -> Float[Array, ""]:
    """A scalar of θ, which is drawn as 0."""
    return hk.get_parameter(name, (), init=jnp.zeros)


def _scalars(config: SymmetricConfig, learner_input: LearnerInput) -> Float[Array, "num_scalars"]:
    """What every LSTM is shown: the reward, the centred reward where there is one, and whether an episode starts."""
    scalars = learner_input.reward[None]
    if learner_input.centred_reward is not None:
        scalars = jnp.append(scalars, learner_input.centred_reward)
    return jnp.append(scalars, learner_input.episode_start) if config.episode_start_input else scalars


AGGREGATIONS = {"mean": (jnp.mean, jnp.mean), "sum": (jnp.sum, jnp.sum), "sum_forward": (jnp.sum, jnp.mean)}
"""By name: how messages are aggregated over a layer's inputs (forward) and over its outputs (backward)."""


def _init_layer(
    config: SymmetricConfig, dtype: str, key: PRNGKeyArray, num_inputs: int, num_outputs: int
) -> LayerState:
    """Zeros, or i.i.d. noise on the first `state_noise_fraction` of each cell, which tells equal neurons apart."""
    shape = (num_inputs, num_outputs, config.hidden_size)
    cell = jnp.zeros(shape)
    if config.state_noise:
        noisy = jnp.arange(config.hidden_size) < round(config.state_noise_fraction * config.hidden_size)
        cell = config.state_noise * noisy * jax.random.normal(key, shape)
    return LayerState(
        hidden=jnp.zeros(shape, dtype),
        cell=cell,
        forward=jnp.zeros((num_outputs, config.message_size)),
        backward=jnp.zeros((num_inputs, config.message_size)),
    )
