"""The symmetric learner, SymLA (Kirsch et al., AAAI 2022, arXiv 2109.10781).

Take a dense network with K layers and put a small LSTM in the place of every weight. All LSTMs share one θ. They talk
through messages: forward along the layer's outputs b, backward along its inputs a. One tick of layer k is

    h_ab <- f_θ(h_ab, from_below_a, from_above_b, scalars, forward_b, backward_a)
    forward_b  = aggregate over a of F_θ(h_ab)
    backward_a = aggregate over b of G_θ(h_ab)

where forward_b and backward_a, as inputs, are what the layer itself emitted at the tick before. θ has the same shapes
for every number of observations and actions, and a permutation of either permutes the learner with it.

The fast form. f's input projection is linear, so it is made once per node (A + B products) and broadcast over the
A x B LSTMs, and F and G, being linear, come after the aggregation. Only the hidden-to-hidden product is made for
every LSTM. The plain form is podmeta.benchmarks.plain_symmetric, to which the tests hold this one.
"""

import itertools
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.config.schema import SymmetricConfig
from podmeta.learners.activations import lstm, make_activation
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams, as_numbers
from podmeta.learners.linear import Linear, get_matrix, leading_rows, matmul


class LayerState(NamedTuple):
    """The state of one layer with A inputs and B outputs.

    Attributes:
      hidden: [A, B, hidden_size] hidden state of every LSTM.
      cell: [A, B, hidden_size] cell of every LSTM.
      forward: [B, message_size] what the layer last sent up.
      backward: [A, message_size] what the layer last sent down.
    """

    hidden: Float[Array, "A B hidden_size"]
    cell: Float[Array, "A B hidden_size"]
    forward: Float[Array, "B message_size"]
    backward: Float[Array, "A message_size"]


def make_symmetric_learner(
    config: SymmetricConfig, observation_size: int, num_actions: int, num_policy_channels: int
) -> Learner:
    """Builds the symmetric learner for one size of observation and action.

    Args:
      config: the learner's config.
      observation_size: A, the number of observation components (an observation of any shape is flattened).
      num_actions: B, the number of action components.
      num_policy_channels: 1 for logits, 2 for mean and log standard deviation.

    Returns:
      The learner. Its θ fits every other observation_size and num_actions, and every hidden_layers.
    """
    sizes = [observation_size, *config.hidden_layers, num_actions]

    def network(state: tuple[LayerState, ...], learner_input: LearnerInput) -> tuple[LearnerOutput, LearnerState]:
        return SymmetricNetwork(config, num_policy_channels)(state, learner_input)

    transformed = hk.without_apply_rng(hk.transform(network))

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> LearnerState:
        del meta_params
        keys = jax.random.split(key, len(sizes) - 1)
        pairs = itertools.pairwise(sizes)
        return tuple(_layer_at_birth(config, k, a, b) for k, (a, b) in zip(keys, pairs, strict=True))

    def init(key: PRNGKeyArray) -> MetaParams:
        nothing = LearnerInput(jnp.zeros(observation_size), jnp.zeros(num_actions), jnp.zeros(()), jnp.zeros(()))
        return transformed.init(key, initial_state(None, key), nothing)

    return Learner(init, initial_state, transformed.apply)


class SymmetricNetwork(hk.Module):
    """One env step of the symmetric learner: `num_micro_ticks` ticks of all layers."""

    def __init__(self, config: SymmetricConfig, num_policy_channels: int):
        super().__init__(name="symmetric")
        self.config = config
        self.num_policy_channels = num_policy_channels
        self.activation = make_activation(config.activation)

    def __call__(
        self, state: tuple[LayerState, ...], learner_input: LearnerInput
    ) -> tuple[LearnerOutput, tuple[LayerState, ...]]:
        """Takes the state and the input of one env step; returns the output and the next state."""
        observation = as_numbers(learner_input.observation).reshape(-1, 1)
        previous_action = learner_input.previous_action.reshape(-1, 1)
        scalars = learner_input.reward[None]
        if self.config.episode_start_input:
            scalars = jnp.append(scalars, learner_input.episode_start)

        layers = list(state)
        for _ in range(self.config.num_micro_ticks):
            for k, layer in enumerate(layers):
                from_below = observation if k == 0 else layers[k - 1].forward
                from_above = previous_action if k == len(layers) - 1 else layers[k + 1].backward
                layers[k] = self._tick(layer, from_below, from_above, scalars)

        mean_hidden = jnp.mean(layers[-1].hidden, axis=(0, 1))
        value = Linear(1, name="value")(mean_hidden)[0]
        return LearnerOutput(layers[-1].forward[:, : self.num_policy_channels], value), tuple(layers)

    def _tick(
        self,
        layer: LayerState,
        from_below: Float[Array, "A below_channels"],
        from_above: Float[Array, "B above_channels"],
        scalars: Float[Array, "num_scalars"],
    ) -> LayerState:
        """One tick of one layer. At the network's ends only channel 0 of a message exists, so only it is projected."""
        hidden_size, message_size = self.config.hidden_size, self.config.message_size
        num_gates = 4 * hidden_size
        num_ascending = 2 * message_size
        num_descending = 2 * message_size + scalars.size
        fan_in = hidden_size + num_ascending + num_descending

        # The scalars ride on the output side, so that they need no product of their own.
        at_inputs = jnp.concatenate([layer.backward, from_below], axis=1)
        repeated_scalars = jnp.broadcast_to(scalars, (from_above.shape[0], scalars.size))
        at_outputs = jnp.concatenate([layer.forward, repeated_scalars, from_above], axis=1)

        ascending = get_matrix("ascending", num_ascending, num_gates, fan_in)
        descending = get_matrix("descending", num_descending, num_gates, fan_in)
        recurrent = get_matrix("recurrent", hidden_size, num_gates, fan_in)
        bias = hk.get_parameter("bias", (num_gates,), init=jnp.zeros)
        per_input = matmul(at_inputs, leading_rows(ascending, at_inputs.shape[1]))
        per_output = matmul(at_outputs, leading_rows(descending, at_outputs.shape[1])) + bias
        gates = matmul(layer.hidden, recurrent) + per_input[:, None] + per_output[None, :]
        hidden, cell = lstm(gates, layer.cell, self.activation, self.config.forget_bias)

        over_inputs, over_outputs = AGGREGATIONS[self.config.aggregation]
        forward = matmul(over_inputs(hidden, axis=0), get_matrix("forward", hidden_size, message_size))
        backward = matmul(over_outputs(hidden, axis=1), get_matrix("backward", hidden_size, message_size))
        return LayerState(hidden, cell, forward, backward)


AGGREGATIONS = {"mean": (jnp.mean, jnp.mean), "sum": (jnp.sum, jnp.sum), "sum_forward": (jnp.sum, jnp.mean)}
"""By name: how messages are aggregated over a layer's inputs (forward) and over its outputs (backward)."""


def _layer_at_birth(config: SymmetricConfig, key: PRNGKeyArray, num_inputs: int, num_outputs: int) -> LayerState:
    """Zeros, or i.i.d. noise on the first `state_noise_fraction` of each cell, which tells equal neurons apart."""
    shape = (num_inputs, num_outputs, config.hidden_size)
    cell = jnp.zeros(shape)
    if config.state_noise:
        noisy = jnp.arange(config.hidden_size) < round(config.state_noise_fraction * config.hidden_size)
        cell = config.state_noise * noisy * jax.random.normal(key, shape)
    return LayerState(
        hidden=jnp.zeros(shape),
        cell=cell,
        forward=jnp.zeros((num_outputs, config.message_size)),
        backward=jnp.zeros((num_inputs, config.message_size)),
    )
