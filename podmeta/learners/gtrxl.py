"""Gated Transformer-XL (Parisotto et al. 2020, arXiv 1910.06764) instead of the recurrent learner's cell.

A layer attends from each step to itself and to the `memory_length` steps before it, by relative position as in
Transformer-XL (Dai et al. 2019, arXiv 1901.02860), over episode ends but not over the start of the lifetime. The inputs
of every layer at those steps are the learner state. With layer norms in front of attention and MLP, and gates like a
GRU's instead of residual connections,

    Y = gate(E, relu(Attention(LayerNorm([memory, E]))))
    E' = gate(Y, relu(MLP(LayerNorm(Y))))

An unroll of T steps attends in blocks of `memory_length` steps, so its work and memory grow with T and not with T².
Transformer-XL stops the gradient at its memory. Here a memory from before the unroll has none, and one from within it
is part of the unroll, which therefore is what a scan of steps is, in its gradients too.
"""

import math
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from podmeta.config.schema import GTrXLConfig
from podmeta.errors import InputError
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput
from podmeta.learners.linear import Linear, get_matrix, matmul
from podmeta.learners.network import (
    check_torso,
    encode_over_time,
    layer_norm,
    make_unrolled_learner,
    no_input,
    read_out,
)

_GATE_BIAS = 2.0  # b_g of the paper: at first a layer changes little of its inputs, so that a policy is learned early
_MASKED = -1e9  # a score that leaves nothing to a step


class GTrXLState(NamedTuple):
    """What the lifetime has left.

    Attributes:
      memory: [num_layers, memory_length, hidden_size] the inputs of each layer at the last steps, the newest at the
        end.
      num_steps: [] how many of them there have been in the lifetime.
    """

    memory: Float[Array, "num_layers memory_length hidden_size"]
    num_steps: Int[Array, ""]


def make_gtrxl_learner(
    config: GTrXLConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    num_policy_channels: int,
    dtype: str = "float32",
) -> Learner:
    """Builds the learner for one shape of observation and number of actions, as `make_recurrent_learner`.

    Its memory has the type of activations. Layer norms and weights of attention are computed in float32.

    Raises:
      InputError: the heads do not divide the layer, or the config has a convolutional torso, but observations are
        not images.
    """
    check_torso(config, observation_shape)
    if config.hidden_size % config.num_heads != 0:
        raise InputError(
            f"learner.num_heads={config.num_heads} does not divide learner.hidden_size={config.hidden_size}: take one "
            f"that does, such as {math.gcd(config.num_heads, config.hidden_size)}"
        )

    def network(state: GTrXLState, inputs: LearnerInput) -> tuple[LearnerOutput, GTrXLState]:
        return GTrXLNetwork(config, num_actions, num_policy_channels)(state, inputs)

    memory = jnp.zeros((config.num_layers, config.memory_length, config.hidden_size), dtype)
    first_input = no_input(config, observation_shape, num_actions)
    return make_unrolled_learner(network, GTrXLState(memory, jnp.zeros((), jnp.int32)), first_input)


class GTrXLNetwork(hk.Module):
    """Many env steps of the learner."""

    def __init__(self, config: GTrXLConfig, num_actions: int, num_policy_channels: int):
        super().__init__(name="gtrxl")
        self.config = config
        self.num_actions = num_actions
        self.num_policy_channels = num_policy_channels

    def __call__(self, state: GTrXLState, inputs: LearnerInput) -> tuple[LearnerOutput, GTrXLState]:
        """Takes the state and inputs [num_steps, ...]; returns outputs [num_steps, ...] and the state after them."""
        hidden = encode_over_time(self.config, inputs, str(state.memory.dtype), self.config.hidden_size)
        after = []
        for index, of_layer in enumerate(state.memory):
            steps = jnp.concatenate([of_layer, hidden])
            after.append(steps[len(hidden) :])
            hidden = GTrXLLayer(self.config.num_heads, name=f"layer_{index}")(of_layer, hidden, state.num_steps)
        num_steps = jnp.minimum(state.num_steps + len(hidden), self.config.memory_length)
        outputs = read_out(hidden, self.num_actions, self.num_policy_channels)
        return outputs, GTrXLState(jnp.stack(after), num_steps)


class GTrXLLayer(hk.Module):
    """Attention and an MLP, each behind a layer norm and a gate."""

    def __init__(self, num_heads: int, name: str):
        super().__init__(name=name)
        self.num_heads = num_heads

    def __call__(
        self,
        memory: Float[Array, "memory_length hidden_size"],
        inputs: Float[Array, "num_steps hidden_size"],
        num_remembered: Int[Array, ""],
    ) -> Float[Array, "num_steps hidden_size"]:
        """Takes the layer's inputs at the steps before, of which so many count, and those at these steps."""
        size = inputs.shape[-1]
        normed = layer_norm(jnp.concatenate([memory, inputs]), "attention_norm")
        attended = RelativeAttention(self.num_heads)(normed, len(memory), num_remembered)
        hidden = Gate(name="attention_gate")(inputs, jax.nn.relu(attended))
        wide = jax.nn.relu(Linear(4 * size, name="mlp_0")(layer_norm(hidden, "mlp_norm")))
        return Gate(name="mlp_gate")(hidden, jax.nn.relu(Linear(size, name="mlp_1")(wide)))


class RelativeAttention(hk.Module):
    """Attention with several heads from each step to itself and the steps before it, by their distance."""

    def __init__(self, num_heads: int):
        super().__init__(name="attention")
        self.num_heads = num_heads

    def __call__(
        self,
        steps: Float[Array, "memory_and_steps hidden_size"],
        memory_length: int,
        num_remembered: Int[Array, ""],
    ) -> Float[Array, "num_steps hidden_size"]:
        """Takes a memory, of which the last `num_remembered` steps count, and steps; returns what the steps attend to.

        Block by block: the queries of a block of steps are compared with the keys of the block and of the
        `memory_length` steps before it.
        """
        size, num_steps = steps.shape[-1], len(steps) - memory_length
        block = min(memory_length, num_steps)
        num_blocks = -(-num_steps // block)
        padded = jnp.pad(steps, ((0, num_blocks * block - num_steps), (0, 0)))
        queries = self._by_head(matmul(padded[memory_length:], get_matrix("query", size, size)))
        queries = queries.reshape(num_blocks, block, self.num_heads, -1)
        # [num_blocks, window] the steps that the queries of a block may look at, counted from the memory's first.
        window = np.arange(num_blocks)[:, None] * block + np.arange(memory_length + block)
        keys, values = jnp.split(matmul(padded, get_matrix("key_and_value", size, 2 * size)), 2, axis=-1)
        keys, values = self._by_head(keys)[window], self._by_head(values)[window]
        places = self._by_head(
            matmul(jnp.asarray(_places(memory_length, size), steps.dtype), get_matrix("place", size, size))
        )

        content_bias, place_bias = (
            hk.get_parameter(name, queries.shape[2:], init=jnp.zeros).astype(steps.dtype)
            for name in ("content_bias", "place_bias")
        )
        scores = jnp.einsum("bqhd,bkhd->bhqk", queries + content_bias, keys)
        scores += _shifted(jnp.einsum("bqhd,phd->bhqp", queries + place_bias, places))
        counts = _in_reach(block, memory_length) & (window >= memory_length - num_remembered)[:, None, None]
        scores = scores.astype(jnp.float32) * queries.shape[-1] ** -0.5
        weights = jax.nn.softmax(jnp.where(counts, scores, _MASKED), axis=-1).astype(steps.dtype)
        attended = jnp.einsum("bhqk,bkhd->bqhd", weights, values).reshape(-1, size)[:num_steps]
        return Linear(size, name="output")(attended)

    def _by_head(self, of_steps: Float[Array, "num_steps size"]) -> Float[Array, "num_steps num_heads head_size"]:
        return of_steps.reshape(len(of_steps), self.num_heads, -1)


class Gate(hk.Module):
    """The paper's GRU-type gate, instead of a residual connection."""

    def __call__(
        self, inputs: Float[Array, "num_steps size"], update: Float[Array, "num_steps size"]
    ) -> Float[Array, "num_steps size"]:
        """Takes what would be passed on and what would be added to it."""
        size = inputs.shape[-1]
        of_update = matmul(update, get_matrix("of_update", size, 3 * size))
        of_inputs = matmul(inputs, get_matrix("of_inputs", size, 2 * size))
        reset, passing = jnp.split(of_update[:, : 2 * size] + of_inputs, 2, axis=-1)
        bias = hk.get_parameter("bias", (size,), init=hk.initializers.Constant(_GATE_BIAS))
        reset, passing = jax.nn.sigmoid(reset), jax.nn.sigmoid(passing - bias.astype(passing.dtype))
        candidate = jnp.tanh(of_update[:, 2 * size :] + matmul(reset * inputs, get_matrix("of_reset", size, size)))
        return (1.0 - passing) * inputs + passing * candidate


def _places(memory_length: int, size: int) -> Float[np.ndarray, "distances size"]:
    """Sines and cosines of the distances memory_length, ..., 1, 0 (Vaswani et al. 2017)."""
    distances = np.arange(memory_length, -1, -1)[:, None]
    angles = distances / 10_000 ** (np.arange(0, size, 2) / size)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :size].astype(np.float32)


def _shifted(
    by_place: Float[Array, "num_blocks num_heads block places"],
) -> Float[Array, "num_blocks num_heads block window"]:
    """Scores by place as scores by step of the window: the first place of query q is step q of the window.

    Rows that are one longer than the window, read as rows of its length, start one later each.
    """
    *batch, block, num_places = by_place.shape
    window = num_places - 1 + block
    wide = jnp.pad(by_place, ((0, 0), (0, 0), (0, 0), (0, window + 1 - num_places)))
    return wide.reshape(*batch, -1)[..., : block * window].reshape(*batch, block, window)


def _in_reach(block: int, memory_length: int) -> Bool[np.ndarray, "block window"]:
    """Whether a query may look at a step of its window: itself, and `memory_length` steps before it."""
    ahead = np.arange(memory_length + block) - np.arange(block)[:, None]
    return (ahead >= 0) & (ahead <= memory_length)
