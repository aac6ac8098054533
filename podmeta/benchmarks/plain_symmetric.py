"""The symmetric learner in its plain form: one LSTM for every weight, straight from the equations.

It computes what `podmeta.learners.symmetric` computes, on the same θ and the same learner state, and shares nothing
between LSTMs: each one projects all of its inputs and makes its own messages, which are then aggregated.
`podmeta bench core` compares the fast form with it, and the tests hold the fast form to it.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.config.schema import SymmetricConfig
from podmeta.learners.activations import lstm, make_activation
from podmeta.learners.base import LearnerInput, LearnerOutput, MetaParams
from podmeta.learners.symmetric import LayerState


class Cell(NamedTuple):
    """What one LSTM keeps, and sends: of its own where it is alone, [A, B, ...] where it stands for a whole layer.

    Attributes:
      hidden: [hidden_size] hidden state.
      cell: [hidden_size] cell.
      forward: [message_size] its message to its output b, F_θ(hidden).
      backward: [message_size] its message to its input a, G_θ(hidden).
    """

    hidden: Float[Array, "*A_B hidden_size"]
    cell: Float[Array, "*A_B hidden_size"]
    forward: Float[Array, "*A_B message_size"]
    backward: Float[Array, "*A_B message_size"]


def plain_step(
    config: SymmetricConfig,
    num_policy_channels: int,
    meta_params: MetaParams,
    state: tuple[LayerState, ...],
    learner_input: LearnerInput,
) -> tuple[LearnerOutput, tuple[LayerState, ...]]:
    """One env step: what `make_symmetric_learner(...).step` does, in its plain form.

    Args:
      config: the learner's config.
      num_policy_channels: 1 for logits, 2 for mean and log standard deviation.
      meta_params: θ, of whole matrices.
      state: the learner state.
      learner_input: the learner's input.

    Returns:
      The output and the next learner state.
    """
    observation = _in_first_channel(learner_input.observation.reshape(-1), config.message_size)
    previous_action = _in_first_channel(learner_input.previous_action, config.message_size)
    scalars = [learner_input.reward, learner_input.episode_start][: 1 + config.episode_start_input]

    layers = list(state)
    for _ in range(config.num_micro_ticks):
        for k in range(len(layers)):
            from_below = layers[k - 1].forward if k > 0 else observation
            from_above = layers[k + 1].backward if k + 1 < len(layers) else previous_action
            layers[k] = _tick(config, meta_params, layers[k], from_below, from_above, jnp.stack(scalars))

    value_head = meta_params["symmetric/value"]
    value = jnp.mean(layers[-1].hidden, axis=(0, 1)) @ value_head["w"] + value_head["b"]
    return LearnerOutput(layers[-1].forward[:, :num_policy_channels], value[0]), tuple(layers)


def _tick(
    config: SymmetricConfig,
    meta_params: MetaParams,
    layer: LayerState,
    from_below: Float[Array, "A message_size"],
    from_above: Float[Array, "B message_size"],
    scalars: Float[Array, "num_scalars"],
) -> LayerState:
    """Every LSTM of a layer by itself, then the aggregation of their messages."""
    one = partial(_one_lstm, config, meta_params["symmetric"])
    over_outputs = jax.vmap(one, in_axes=(0, 0, None, None, 0, 0, None))
    over_both = jax.vmap(over_outputs, in_axes=(0, 0, 0, 0, None, None, None))
    cells = over_both(layer.hidden, layer.cell, layer.backward, from_below, layer.forward, from_above, scalars)
    sum_forward = config.aggregation in ("sum", "sum_forward")
    sum_backward = config.aggregation == "sum"
    return LayerState(
        hidden=cells.hidden,
        cell=cells.cell,
        forward=jnp.sum(cells.forward, axis=0) if sum_forward else jnp.mean(cells.forward, axis=0),
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
) -> Cell:
    """f_θ, F_θ and G_θ of one LSTM."""
    told = jnp.concatenate([hidden, backward, from_below, forward, scalars, from_above])
    matrix = jnp.concatenate([matrices["recurrent"], matrices["ascending"], matrices["descending"]])
    gates = told @ matrix + matrices["bias"]
    hidden, cell = lstm(gates, cell, make_activation(config.activation), config.forget_bias)
    return Cell(hidden, cell, hidden @ matrices["forward"], hidden @ matrices["backward"])


def _in_first_channel(components: Float[Array, "num_components"], message_size: int) -> Array:
    """Messages [num_components, message_size] of zeros but for the first channel."""
    return jnp.pad(components[:, None], ((0, 0), (0, message_size - 1)))
